package metrics

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// A client that does not read its answer keeps nobody else from scraping.
func TestSlowScrapesGiveWay(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	collecting := make(chan struct{})
	t.Cleanup(func() { close(end) })
	h := limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			_, _ = w.Write(nil)
			begun <- struct{}{}
			<-end
		case "/collecting":
			begun <- struct{}{}
			<-collecting
		}
	}))
	ask := func(path string) int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec.Code
	}
	occupy := func(path string) {
		for range maxScrapesOfAddress {
			go ask(path)
			select {
			case <-begun:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s was refused", path)
			}
		}
	}
	occupy("/slow")
	if code := ask("/quick"); code != http.StatusOK {
		t.Fatalf("a scrape beside slow clients: %d", code)
	}
	occupy("/collecting")
	if code := ask("/quick"); code != http.StatusServiceUnavailable {
		t.Errorf("a scrape beside many that are collected: %d", code)
	}
	close(collecting)
	testkit.Eventually(t, 10*time.Second, "there is room again", func() bool { return ask("/quick") == http.StatusOK })
}
