package web

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/store"
)

// Checks is the answer of /api/v1/healthchecks.
type Checks struct {
	HealthChecks []Check `json:"healthchecks"`
	// Total counts all that match. More is set if some come after this page; Cursor
	// continues there.
	Total  int    `json:"total"`
	More   bool   `json:"more"`
	Cursor string `json:"cursor,omitempty"`
}

// Check is one health check. Absent texts are omitted, durations are in seconds.
type Check struct {
	Service     string            `json:"service"`
	Version     string            `json:"version,omitempty"`
	Node        string            `json:"node"`
	Address     string            `json:"address,omitempty"`
	ID          string            `json:"id"`
	Description string            `json:"description,omitempty"`
	Status      string            `json:"status"`
	Reported    string            `json:"reported"`
	Source      string            `json:"source"`
	Error       string            `json:"error,omitempty"`
	Results     map[string]string `json:"results,omitempty"`
	Since       time.Time         `json:"since"`
	Received    time.Time         `json:"received"`
	Timestamp   time.Time         `json:"timestamp"`
	Interval    float64           `json:"interval"`
	TTL         float64           `json:"ttl"`
	Missing     bool              `json:"missing,omitempty"`
	Stopped     bool              `json:"stopped,omitempty"`
	Skewed      bool              `json:"skewed,omitempty"`
}

func newCheck(c store.Check) Check {
	m := c.Proto()
	return Check{
		Service: c.Service, Version: c.Version, Node: c.Node, Address: c.Address,
		ID: c.ID, Description: c.Description,
		Status: c.Status.String(), Reported: c.Reported.String(), Source: c.Source.String(),
		Error: m.Error, Results: m.Results,
		Since: unixTime(c.Since), Received: unixTime(c.Received), Timestamp: unixTime(c.Timestamp),
		Interval: c.Interval.Seconds(), TTL: c.TTL.Seconds(),
		Missing: c.Missing, Stopped: c.Stopped, Skewed: c.Skewed,
	}
}

// Nodes is the answer of /api/v1/status; see Checks.
type Nodes struct {
	Nodes  []Node `json:"nodes"`
	Total  int    `json:"total"`
	More   bool   `json:"more"`
	Cursor string `json:"cursor,omitempty"`
}

// Node is the status of one node; see Check.
type Node struct {
	Service  string    `json:"service"`
	Version  string    `json:"version,omitempty"`
	Node     string    `json:"node"`
	Address  string    `json:"address,omitempty"`
	Status   string    `json:"status"`
	Reported string    `json:"reported"`
	Info     string    `json:"info,omitempty"`
	Since    time.Time `json:"since"`
	Received time.Time `json:"received"`
	Interval float64   `json:"interval"`
	TTL      float64   `json:"ttl"`
	Missing  bool      `json:"missing,omitempty"`
	Skewed   bool      `json:"skewed,omitempty"`
}

func newNode(n store.NodeStatus) Node {
	return Node{
		Service: n.Service, Version: n.Version, Node: n.Node, Address: n.Address,
		Status: n.Status.String(), Reported: n.Reported.String(), Info: n.Proto().Info,
		Since: unixTime(n.Since), Received: unixTime(n.Received),
		Interval: n.Interval.Seconds(), TTL: n.TTL.Seconds(), Missing: n.Missing, Skewed: n.Skewed,
	}
}

func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// healthChecks lists the health checks that the query selects.
func (s *Server) healthChecks(w http.ResponseWriter, r *http.Request) {
	q := store.Query{}
	known := storeParameters(&q)
	known["id"] = func(text string) error { q.ID = text; return nil }
	known["status"] = func(text string) error { return q.SelectStatuses(strings.Split(text, ",")...) }
	known["source"] = func(text string) error { return q.SelectSources(strings.Split(text, ",")...) }
	page, err := queryStore(r.URL, &q, known, s.cfg.Store.Checks)
	answerList(w, err, Checks{convert(page.Items, newCheck), page.Total, page.Next != "", page.Next})
}

// nodeStatuses lists the nodes that the query selects.
func (s *Server) nodeStatuses(w http.ResponseWriter, r *http.Request) {
	q := store.Query{}
	known := storeParameters(&q)
	known["status"] = func(text string) error { return q.SelectNodeStatuses(strings.Split(text, ",")...) }
	page, err := queryStore(r.URL, &q, known, s.cfg.Store.Nodes)
	answerList(w, err, Nodes{convert(page.Items, newNode), page.Total, page.Next != "", page.Next})
}

// storeParameters are the parameters of every list of the store.
func storeParameters(q *store.Query) map[string]func(text string) error {
	number := func(target *int) func(string) error {
		return func(text string) error {
			var n int64
			err := wholeNumber(text, &n)
			*target = int(min(n, math.MaxInt-store.MaxLimit))
			return err
		}
	}
	return map[string]func(text string) error{
		"service": func(text string) error { q.Service = text; return nil },
		"node":    func(text string) error { q.Node = text; return nil },
		"cursor":  func(text string) error { q.Cursor = text; return nil },
		"limit":   number(&q.Limit),
		"offset":  number(&q.Offset),
		"missing": func(text string) error {
			if q.Missing = text == "true"; !q.Missing && text != "false" {
				return errors.New("give true or false")
			}
			return nil
		},
	}
}

// queryStore reads the parameters of a list and queries it. Its limit is maxPage unless
// there is one.
func queryStore[T any](
	u *url.URL, q *store.Query, known map[string]func(string) error, list func(store.Query) (store.Page[T], error),
) (store.Page[T], error) {
	if err := readParameters(u.RawQuery, known); err != nil {
		return store.Page[T]{}, err
	}
	if q.Limit == 0 {
		q.Limit = maxPage
	}
	if q.Cursor != "" && q.Offset > 0 {
		return store.Page[T]{}, errors.New(`parameter "offset" cannot be combined with "cursor"`)
	}
	page, err := list(*q)
	if errors.Is(err, store.ErrNotFound) {
		err = &statusError{http.StatusNotFound, err}
	}
	return page, err
}

// convert returns the items of a list as they are answered, never nil.
func convert[T, U any](items []T, f func(T) U) []U {
	list := make([]U, 0, len(items))
	for _, item := range items {
		list = append(list, f(item))
	}
	return list
}

// answerList answers with a list, or with the error of its query.
func answerList(w http.ResponseWriter, err error, list any) {
	if err != nil {
		fail(w, err)
		return
	}
	answerJSON(w, list)
}
