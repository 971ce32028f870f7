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

// gomaDetails is a monitor in goma's API with all that is known about it, for those who
// ask with verbose=true. The id is a string.
type gomaDetails struct {
	ID int64 `json:"id,string"`
	monitorInfo
}

// infoOf returns what an answer holds of a monitor: goma's fields, or with verbose=true
// all of them.
func infoOf(r *http.Request, i monitor.Info) any {
	if verbose, _ := strconv.ParseBool(r.FormValue("verbose")); verbose {
		return gomaDetails{i.ID, newMonitorInfo(i)}
	}
	return gomaInfo{ID: i.ID, Name: i.Name, Running: i.Running, Failing: i.Failing}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	for _, i := range s.cfg.Group.List(monitor.Filter{}) {
		list = append(list, infoOf(r, i))
	}
	answerJSON(w, list)
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	id, err := s.idOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	info, err := s.cfg.Group.Get(id)
	if err != nil {
		fail(w, err)
		return
	}
	answerJSON(w, infoOf(r, info))
}

// idOf returns the id of the monitor that the path names.
func (s *Server) idOf(r *http.Request) (int64, error) {
	return s.cfg.Group.Resolve(r.PathValue("monitor"))
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
	} else {
		w.Header().Set(NoteHeader, unchangedNote(registered))
	}
	answerWord(w, strconv.FormatInt(registered.ID, 10))
}

// NoteHeader says in one line what goma's answers cannot: that a registration has
// changed nothing, and how long a stop lasts.
const NoteHeader = "X-Monitor-Note"

func unchangedNote(r monitor.Registered) string {
	if r.Stopped {
		return "was registered before and stays stopped; nothing has changed"
	}
	return "was registered before; nothing has changed"
}

func (s *Server) unregister(w http.ResponseWriter, r *http.Request, c access.Caller) {
	s.changeMonitor(w, r, c, "unregistered", s.cfg.Group.Unregister)
}

// control starts or stops a monitor. The body is "start" or "stop".
func (s *Server) control(w http.ResponseWriter, r *http.Request, c access.Caller) {
	if _, err := s.idOf(r); err != nil {
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
	id, err := s.idOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	before, _ := s.cfg.Group.Get(id)
	if _, err := within(s, changeTimeout, func() (struct{}, error) { return struct{}{}, f(id) }); err != nil {
		fail(w, err)
		return
	}
	s.cfg.Changes.Changed(slog.LevelInfo, "monitor "+done, c, "id", id, "monitor", before.Name)
	if done == "stopped" {
		w.Header().Set(NoteHeader, s.stopNote())
	}
}

// stopNote says how long a stop lasts.
func (s *Server) stopNote() string {
	if s.cfg.Group.Persists() {
		return "stays stopped until it is started, also over edits, reloads and restarts"
	}
	return "stays stopped until it is started, also over edits and reloads, but not over a restart: there is no --state_dir"
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) { answerWord(w, s.cfg.Version) }
