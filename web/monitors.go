package web

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/monitor"
)

// maxPage bounds the monitors in one answer.
const maxPage = 1000

// monitorInfo is a monitor in the answer of /api/v1/monitors. Absent times are
// omitted. Durations are in seconds.
type monitorInfo struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Failing bool   `json:"failing"`
	State   string `json:"state"`
	// Value is absent if it is not finite.
	Value     *float64          `json:"value,omitempty"`
	Error     string            `json:"error,omitempty"`
	Detail    string            `json:"detail,omitempty"`
	Since     *time.Time        `json:"since,omitempty"`
	LastProbe *time.Time        `json:"last_probe,omitempty"`
	NextProbe *time.Time        `json:"next_probe,omitempty"`
	StoppedAt *time.Time        `json:"stopped_at,omitempty"`
	Interval  float64           `json:"interval"`
	Timeout   float64           `json:"timeout"`
	Min       float64           `json:"min"`
	Max       float64           `json:"max"`
	WarnMin   *float64          `json:"warn_min,omitempty"`
	WarnMax   *float64          `json:"warn_max,omitempty"`
	Probe     string            `json:"probe"`
	Filter    string            `json:"filter,omitempty"`
	Actions   []string          `json:"actions"`
	Origin    string            `json:"origin"`
	Probes    int64             `json:"probes"`
	Failures  int64             `json:"failures"`
	Missed    int64             `json:"missed"`
	Labels    map[string]string `json:"labels,omitempty"`
}

func newMonitorInfo(i monitor.Info) monitorInfo {
	m := monitorInfo{
		ID: i.ID, Name: i.Name, Running: i.Running, Failing: i.Failing, State: i.State.String(),
		Error: i.Error, Detail: i.Detail,
		Since: timeOf(i.Since), LastProbe: timeOf(i.LastProbe), NextProbe: timeOf(i.NextProbe), StoppedAt: timeOf(i.StoppedAt),
		Interval: i.Interval.Seconds(), Timeout: i.Timeout.Seconds(),
		Min: i.Thresholds.Min, Max: i.Thresholds.Max,
		WarnMin: i.Thresholds.WarnMin, WarnMax: i.Thresholds.WarnMax,
		Probe: i.Probe, Filter: i.Filter, Actions: append([]string{}, i.Actions...), Origin: i.Origin,
		Probes: i.Probes, Failures: i.Failures, Missed: i.Missed, Labels: i.Labels,
	}
	if !math.IsNaN(i.Value) && !math.IsInf(i.Value, 0) {
		m.Value = &i.Value
	}
	return m
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// monitors lists the monitors that the query selects, sorted by id.
func (s *Server) monitors(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		fail(w, err)
		return
	}
	all := s.cfg.Group.List(q.filter)
	answer := struct {
		Monitors []monitorInfo `json:"monitors"`
		Total    int           `json:"total"`
	}{[]monitorInfo{}, len(all)}
	from := min(q.offset, int64(len(all)))
	to := from + min(q.limit, int64(len(all))-from)
	for _, i := range all[from:to] {
		answer.Monitors = append(answer.Monitors, newMonitorInfo(i))
	}
	answerJSON(w, answer)
}

// monitorQuery is the query of /api/v1/monitors.
type monitorQuery struct {
	filter        monitor.Filter
	limit, offset int64
}

// parseQuery rejects unknown parameters, because with a misspelt filter the answer
// would list too much.
func parseQuery(raw string) (monitorQuery, error) {
	q := monitorQuery{}
	err := readParameters(raw, map[string]func(text string) error{
		"id":     func(text string) error { return wholeNumber(text, &q.filter.ID) },
		"name":   func(text string) error { q.filter.Name = text; return nil },
		"state":  func(text string) error { return stateNamed(text, &q.filter.State) },
		"limit":  func(text string) error { return wholeNumber(text, &q.limit) },
		"offset": func(text string) error { return wholeNumber(text, &q.offset) },
	})
	if q.limit == 0 || q.limit > maxPage {
		q.limit = maxPage
	}
	return q, err
}

// readParameters passes each parameter of a query to its function. An unknown one is an
// error.
func readParameters(raw string, known map[string]func(text string) error) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("reading the query: %w", err)
	}
	for key, texts := range values {
		set, ok := known[key]
		switch {
		case !ok:
			return fmt.Errorf("unknown parameter %.40q; known are %s", key, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case len(texts) > 1:
			return fmt.Errorf("parameter %q is given %d times", key, len(texts))
		case texts[0] == "":
		default:
			if err := set(texts[0]); err != nil {
				return fmt.Errorf("parameter %q: %w", key, err)
			}
		}
	}
	return nil
}

func wholeNumber(text string, target *int64) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%.40q is not a whole number from 0 to %d", text, int64(math.MaxInt64))
	}
	*target = n
	return nil
}

func stateNamed(text string, target **monitor.State) error {
	var names []string
	for _, s := range []monitor.State{monitor.Unknown, monitor.OK, monitor.Warning, monitor.Failing, monitor.Stopped} {
		if strings.EqualFold(text, s.String()) {
			*target = &s
			return nil
		}
		names = append(names, s.String())
	}
	return fmt.Errorf("unknown state %.40q: give one of %s", text, strings.Join(names, ", "))
}
