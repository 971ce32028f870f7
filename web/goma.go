package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
)

// gomaInfo is a monitor in goma's API. The id is a string.
type gomaInfo struct {
	ID      int64  `json:"id,string"`
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Failing bool   `json:"failing"`
}

func newGomaInfo(i monitor.Info) gomaInfo {
	return gomaInfo{ID: i.ID, Name: i.Name, Running: i.Running, Failing: i.Failing}
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	list := []gomaInfo{}
	for _, i := range s.cfg.Group.List(monitor.Filter{}) {
		list = append(list, newGomaInfo(i))
	}
	answerJSON(w, list)
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	id, err := idOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	info, err := s.cfg.Group.Get(id)
	if err != nil {
		fail(w, err)
		return
	}
	answerJSON(w, newGomaInfo(info))
}

// idOf returns the id in the path. It fails with ErrNotFound if that is not a number.
func idOf(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("monitor %.40q: %w", text, monitor.ErrNotFound)
	}
	return int64(id), nil
}

// register starts the monitor that the body defines and answers with its id.
func (s *Server) register(w http.ResponseWriter, r *http.Request, c access.Caller) {
	text, err := readBody(r, "application/json")
	if err != nil {
		fail(w, err)
		return
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		fail(w, errors.New("the body is not a JSON object: send one monitor, with the keys of a file"))
		return
	}
	registered, err := within(s, registerTimeout, func() (monitor.Registered, error) {
		return s.cfg.Group.RegisterText(s.cfg.Policy, c, text)
	})
	if err != nil {
		fail(w, err)
		return
	}
	if !registered.Existed {
		s.cfg.Changes.Changed(slog.LevelInfo, "monitor registered", c, "monitor", registered.Name, "id", registered.ID)
	}
	answerWord(w, strconv.FormatInt(registered.ID, 10))
}

func (s *Server) unregister(w http.ResponseWriter, r *http.Request, c access.Caller) {
	s.changeMonitor(w, r, c, "unregistered", s.cfg.Group.Unregister)
}

// control starts or stops a monitor. The body is "start" or "stop".
func (s *Server) control(w http.ResponseWriter, r *http.Request, c access.Caller) {
	if _, err := idOf(r); err != nil {
		fail(w, err)
		return
	}
	text, err := readBody(r, "text/plain")
	if err != nil {
		fail(w, err)
		return
	}
	switch word := strings.TrimSpace(text); word {
	case "start":
		s.changeMonitor(w, r, c, "started", s.cfg.Group.Start)
	case "stop":
		s.changeMonitor(w, r, c, "stopped", s.cfg.Group.Stop)
	default:
		fail(w, fmt.Errorf("unknown action %.40q: send start or stop", word))
	}
}

// changeMonitor answers 200 without a body, as goma does.
func (s *Server) changeMonitor(w http.ResponseWriter, r *http.Request, c access.Caller, done string, f func(int64) error) {
	id, err := idOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	if _, err := within(s, changeTimeout, func() (struct{}, error) { return struct{}{}, f(id) }); err != nil {
		fail(w, err)
		return
	}
	s.cfg.Changes.Changed(slog.LevelInfo, "monitor "+done, c, "id", id)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) { answerWord(w, s.cfg.Version) }
