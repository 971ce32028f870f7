package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/web"
)

// The list of 10,000 monitors with long names is larger than what libraries may
// read of an answer.
func TestListOfManyMonitorsIsReadWhole(t *testing.T) {
	const monitors = 10_000
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		name := strings.Repeat("n", 100)
		for i := range monitors {
			_, _ = fmt.Fprintf(w, `%c{"id": "%d", "name": "%s-%d", "running": true, "failing": false}`, "[,"[min(i, 1)], i, name, i)
		}
		_, _ = w.Write([]byte("]"))
	}))
	t.Cleanup(page.Close)
	stdout, stderr, code := monitorSrv(t, "", "-s", page.Listener.Addr().String(), "list")
	if lines := strings.Count(stdout, "\n"); code != ExitOK || lines != 1+monitors {
		t.Errorf("exit %d, %d lines, %s", code, lines, stderr)
	}
}
