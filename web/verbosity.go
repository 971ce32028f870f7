package web

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/setting"
)

func (s *Server) verbosity(w http.ResponseWriter, _ *http.Request) {
	answerWord(w, setting.LevelName(s.cfg.Level.Level()))
}

// setVerbosity answers 200 without a body, as goma does.
func (s *Server) setVerbosity(w http.ResponseWriter, r *http.Request, c access.Caller) {
	text, err := readBody(r, "text/plain")
	if err != nil {
		fail(w, err)
		return
	}
	level, err := setting.ParseLevel(strings.TrimSpace(text))
	if err != nil {
		fail(w, err)
		return
	}
	before := s.cfg.Level.Level()
	// Log with the lower level, so that the log shows who raised it.
	s.cfg.Level.Set(min(before, level))
	s.cfg.Changes.Changed(slog.LevelWarn, "verbosity changed", c, "from", setting.LevelName(before), "to", setting.LevelName(level))
	s.cfg.Level.Set(level)
}
