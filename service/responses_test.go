package service

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
