package service

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"testing"
)

// Faults: I4.
func TestMemoryIsLimitedByDefault(t *testing.T) {
	before, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer debug.SetMemoryLimit(before)
	defer debug.SetGCPercent(percent)
	for _, c := range []struct {
		variable   string
		maxEntries int
		want       int64
	}{
		{"", 100_000, 350 << 20},
		{"", 100, 350 << 20},
		{"", 1_000_000, 350<<20 + 360_000_000},
		{"off", 100_000, before},
		{"1GiB", 100_000, before}, // the runtime has read it
	} {
		debug.SetMemoryLimit(before)
		LimitMemory(c.maxEntries, func(string) string { return c.variable })
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("GOMEMLIMIT=%q and %d entries: limit %d, want %d", c.variable, c.maxEntries, got, c.want)
		}
		want := gcPercent
		if c.variable != "" {
			want = 100 // GOGC has that value too
		}
		if got := debug.SetGCPercent(100); got != want {
			t.Errorf("GOGC=%q: %d, want %d", c.variable, got, want)
		}
	}
}

// An answer without end, read by a library.
// Faults: T45.
func TestBodiesReadByLibrariesAreBounded(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			_, _ = io.WriteString(w, "fine")
			return
		}
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	client := http.Client{Transport: boundedTransport{new(http.Transport)}}
	t.Cleanup(client.CloseIdleConnections)
	read := func(path string) (int, error) {
		rsp, err := client.Get(endless.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer rsp.Body.Close()
		body, err := io.ReadAll(rsp.Body)
		return len(body), err
	}
	if n, err := read("/short"); n != 4 || err != nil {
		t.Errorf("a short answer: %d bytes, %v", n, err)
	}
	var tooLong *http.MaxBytesError
	if n, err := read("/endless"); n != maxResponse || !errors.As(err, &tooLong) {
		t.Errorf("an endless answer: %d bytes, %v; want the first %d", n, err, maxResponse)
	}
}
