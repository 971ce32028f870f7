package web

import (
	"net/http"
	"slices"
	"testing"
)

// texts answers every request with a text.
func texts(c *Config) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerWord(w, "text") })
	c.Metrics, c.Probe = h, h
}

func TestRequestsAreCountedByRouteAndStatus(t *testing.T) {
	w := newWorld(t, options{web: texts})
	for _, c := range []call{
		{method: "GET", path: "/list"}, {method: "GET", path: "/list"}, {method: "GET", path: "/monitor/7"}, {method: "GET", path: "/monitor/8"},
		{method: "GET", path: "/no/such/path"}, {method: "GET", path: "/list", host: "elsewhere.example"},
		{method: "DELETE", path: "/list"}, {method: "GET", path: "/metrics"},
	} {
		w.do(c)
	}
	var got []Requests
	for _, r := range w.server.Requests() {
		if r.Took <= 0 {
			t.Errorf("%+v took no time", r)
		}
		r.Took = 0
		got = append(got, r)
	}
	want := []Requests{
		{"", 404, 1, 0}, {"", 421, 1, 0}, {"/list", 200, 2, 0}, {"/list", 405, 1, 0}, {"/metrics", 200, 1, 0}, {"/monitor/{monitor}", 404, 2, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
