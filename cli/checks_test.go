package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/web"
)

// checksOf serves checks in pages of one, those of a service or all, OK ones only to who
// does not ask for a status.
func checksOf(t *testing.T, checks ...web.Check) (address string) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		q := r.URL.Query()
		if q.Get("service") == "nobody" {
			http.Error(w, `service "nobody": not found`, http.StatusNotFound)
			return
		}
		all := web.Checks{}
		for _, c := range checks {
			if (q.Get("service") == "" || c.Service == q.Get("service")) && (q.Get("status") == "" || strings.Contains(q.Get("status"), c.Status)) {
				all.HealthChecks = append(all.HealthChecks, c)
			}
		}
		all.Total = len(all.HealthChecks)
		at, _ := strconv.Atoi(q.Get("cursor"))
		if all.More = at+1 < all.Total; all.More {
			all.Cursor = strconv.Itoa(at + 1)
		}
		if at < all.Total {
			all.HealthChecks = all.HealthChecks[at : at+1]
		}
		_ = json.NewEncoder(w).Encode(all)
	}))
	t.Cleanup(page.Close)
	return page.Listener.Addr().String()
}

// Faults: U4.
func TestStatusListsWhatIsNotOK(t *testing.T) {
	since := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	address := checksOf(t,
		web.Check{Service: "shop", Node: "shop-1", ID: "db", Status: "ERROR", Error: "connection\x1b[1m refused", Since: since},
		web.Check{Service: "shop", Node: "shop-2", ID: "db", Status: "OK", Since: since},
		web.Check{Service: "user", Node: "user-1", ID: "db", Status: "UNKNOWN", Missing: true, Since: since})
	for _, c := range []struct {
		words []string
		code  int
		want  []string
	}{
		{[]string{"status"}, ExitFailed, []string{"ERROR    shop     shop-1  db     2026-11-30T12:00:00Z  connection[1m refused", "MISSING  user"}},
		{[]string{"status", "user"}, ExitFailed, []string{"MISSING  user"}},
		{[]string{"checks"}, ExitOK, []string{"ERROR    shop", "OK       shop", "MISSING  user"}},
		{[]string{"healthchecks", "shop"}, ExitOK, []string{"ERROR   shop", "OK      shop"}},
	} {
		stdout, stderr, code := monitorSrv(t, "", append([]string{"-s", address}, c.words...)...)
		if lines := strings.Count(stdout, "\n"); code != c.code || lines != 1+len(c.want) {
			t.Errorf("%v: exit %d, want %d, %d lines\n%s%s", c.words, code, c.code, lines, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: no %q in\n%s", c.words, want, stdout)
			}
		}
	}
	stdout, _, code := monitorSrv(t, "", "-s", address, "-o", "json", "status")
	var answer web.Checks
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != ExitFailed || len(answer.HealthChecks) != 2 || answer.More {
		t.Errorf("exit %d, %v:\n%s", code, err, stdout)
	}
	if _, stderr, code := monitorSrv(t, "", "-s", address, "status", "nobody"); code != ExitFailed || !strings.Contains(stderr, `service "nobody": not found`) {
		t.Errorf("an unknown service: exit %d, %s", code, stderr)
	}
	if stdout, _, code := monitorSrv(t, "", "-s", checksOf(t), "status"); code != ExitOK || stdout != "all checks are OK\n" {
		t.Errorf("without checks: exit %d, %s", code, stdout)
	}
}
