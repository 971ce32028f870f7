package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
)

// gomaInfo is what goma tells of a monitor. Its id is a string.
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

// idOf returns the id in the path. What is no number is the id of no monitor.
func idOf(r *http.Request) (int64, error) {
	text := r.PathValue("id")
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("monitor %.40q: %w", text, monitor.ErrNotFound)
	}
	return int64(id), nil
}

// register starts the monitor of the definition in the body, and answers with
// its id.
func (s *Server) register(w http.ResponseWriter, r *http.Request, c caller) {
	text, err := readBody(r, "application/json")
	if err != nil {
		fail(w, err)
		return
	}
	d, err := s.parse(text, c)
	if err != nil {
		fail(w, err)
		return
	}
	id, err := within(s, registerTimeout, func() (int64, error) { return s.cfg.Group.Register(d) })
	if err != nil {
		fail(w, err)
		return
	}
	s.cfg.Log.Info("a monitor was registered", "monitor", d.Name, "id", id, "role", c.role, "client", c.remote)
	answerWord(w, strconv.FormatInt(id, 10))
}

// parse reads a definition that the caller may register.
func (s *Server) parse(text string, c caller) (*monitor.Definition, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, errors.New("the body is not a JSON object: send one monitor, with the keys of a file")
	}
	d, err := monitor.ParseOne(text)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Policy.Permit(c.role, d.Registration()); err != nil {
		return nil, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	d.Trusted, d.Owner = c.role == access.Admin, c.owner
	return d, nil
}

func (s *Server) unregister(w http.ResponseWriter, r *http.Request, c caller) {
	s.changeMonitor(w, r, c, "unregistered", s.cfg.Group.Unregister)
}

// control starts or stops a monitor, as the body says.
func (s *Server) control(w http.ResponseWriter, r *http.Request, c caller) {
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
func (s *Server) changeMonitor(w http.ResponseWriter, r *http.Request, c caller, done string, f func(int64) error) {
	id, err := idOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	if _, err := within(s, changeTimeout, func() (struct{}, error) { return struct{}{}, f(id) }); err != nil {
		fail(w, err)
		return
	}
	s.cfg.Log.Info("a monitor was "+done, "id", id, "role", c.role, "client", c.remote)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) { answerWord(w, s.cfg.Version) }
