package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/state"
	"github.com/microhq/monitor-srv/store"
)

// world is a web server with targets that monitors probe, and a receiver that
// counts what it is told.
type world struct {
	t   *testing.T
	url string

	mu     sync.Mutex // guards all that follows
	failed map[string]bool
	probes map[string]int
	told   []telling
	refuse bool
	// refused are the keys of what the receiver has refused.
	refused map[string]bool
	answer  func() // before the receiver answers
}

// telling is one request that the receiver got.
type telling struct {
	key, monitor, event, incident string
	duration                      int // seconds
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, failed: map[string]bool{}, probes: map[string]int{}, refused: map[string]bool{}, answer: func() {}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	if target, ok := strings.CutPrefix(r.URL.Path, "/target/"); ok {
		defer w.mu.Unlock()
		w.probes[target]++
		if w.failed[target] {
			out.WriteHeader(http.StatusInternalServerError)
		}
		return
	}
	if w.refuse {
		defer w.mu.Unlock()
		w.refused[r.Header.Get("Idempotency-Key")] = true
		out.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	seconds, _ := strconv.Atoi(r.FormValue("duration"))
	w.told = append(w.told, telling{
		r.Header.Get("Idempotency-Key"), r.FormValue("monitor"), r.FormValue("event"), r.Header.Get("X-Monitor-Incident"), seconds,
	})
	answer := w.answer
	w.mu.Unlock()
	answer()
}

// set makes a target fail, or well again.
func (w *world) set(target string, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[target] = failed
}

// tellings returns what was told so far.
func (w *world) tellings() []telling {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]telling(nil), w.told...)
}

// probed waits until a target was probed so many times more.
func (w *world) probed(target string, times int) {
	w.t.Helper()
	probes := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.probes[target]
	}
	before := probes()
	testkit.Eventually(w.t, 30*time.Second, "the target "+target+" is probed", func() bool { return probes() >= before+times })
}

// monitors returns a file of monitors of targets of their names, each with a
// secret.
func (w *world) monitors(names ...string) string {
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, `
[[monitor]]
name = %q
interval = 1
[monitor.probe]
type = "http"
url = "%s/target/%s?key=canary-of-a-probe"
[[monitor.actions]]
type = "http"
method = "POST"
url_fail = "%s/canary-of-a-path"
url_recover = "%s/canary-of-a-path"
[monitor.actions.header]
Authorization = "Bearer canary-of-a-header"
`, name, w.url, name, w.url, w.url)
	}
	return text.String()
}

// opsReceiver returns a receiver that is notified of events at /told of a server.
func opsReceiver(url string, events ...string) string {
	text := "[[receiver]]\nname = \"ops\"\ntype = \"http\"\nmethod = \"POST\"\n"
	for _, event := range events {
		text += fmt.Sprintf("url_%s = %q\n", event, url+"/told")
	}
	return text
}

// args returns the flags of an instance with these monitors and a state
// directory, and that.
func (w *world) args(names ...string) (args []string, state string) {
	dir := w.t.TempDir()
	testkit.ReplaceFile(w.t, filepath.Join(dir, "a.toml"), w.monitors(names...))
	state = filepath.Join(w.t.TempDir(), "state")
	return []string{"--registry", "memory", "-d", dir, "--state_dir", state}, state
}

// TestKillBetweenSentAndLoggedRepeatsOneAtMost kills the program again and again, most of the
// time just after something was sent: each failure and each recovery arrives, in
// order, and for each kill at most one copy, under the same key.
// Faults: T49.
func TestKillBetweenSentAndLoggedRepeatsOneAtMost(t *testing.T) {
	kills, random := killing(t, 15)
	w := newWorld(t)
	names := []string{"a", "b", "c"}
	args, state := w.args(names...)
	w.answer = func() { time.Sleep(10 * time.Millisecond) }
	arrived := func(i int) bool { return len(distinct(w.tellings())) > i }
	m := startMonitor(t, args...)
	m.ready(startWithin)
	for i := range kills {
		name := names[i%len(names)]
		flip := func() { w.set(name, i/len(names)%2 == 0) }
		switch how := random.IntN(10); {
		case how < 6: // sent, perhaps answered, perhaps written down
			flip()
			testkit.Eventually(t, 20*time.Second, fmt.Sprint("change ", i, " is told"), func() bool { return arrived(i) })
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
			m.kill()
		case how < 8: // before, while or after it is seen
			flip()
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			m.kill()
		default: // nobody sees it happen
			m.kill()
			flip()
		}
		m = startMonitor(t, args...)
		testkit.Eventually(t, 20*time.Second, fmt.Sprint("change ", i, " is told, and that is written down"), func() bool {
			return arrived(i) && pendingIn(t, state) == 0
		})
	}
	for _, name := range names {
		w.probed(name, 3)
	}
	m.stopsInOrder(t)
	checkTellings(t, w.tellings(), names, kills)
}

// pendingIn counts the pending notifications in the journal of a state directory.
func pendingIn(t *testing.T, dir string) int {
	t.Helper()
	d := testkit.NewMemDisk()
	d.Put("/journal", testkit.ReadFile(t, filepath.Join(dir, "journal")))
	node := state.Kind{Name: "node", Version: store.SnapshotVersion}
	kinds := append(append(monitor.JournalKinds(), delivery.LedgerKinds()...), node)
	j, err := state.OpenJournal(d, "/", kinds, state.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	return len(j.Records("pending"))
}

// distinct returns the keys of what was told, in the order of their first time.
func distinct(told []telling) (first []telling) {
	seen := map[string]bool{}
	for _, n := range told {
		if !seen[n.key] {
			seen[n.key] = true
			first = append(first, n)
		}
	}
	return first
}

// checkTellings checks that the changes of the targets, one after the other, were
// told, and nothing else.
func checkTellings(t *testing.T, told []telling, names []string, kills int) {
	t.Helper()
	first := distinct(told)
	if len(first) != kills {
		t.Errorf("%d changes are told, want %d: %v", len(first), kills, first)
		return
	}
	open := map[string]string{}
	for i, n := range first {
		name, event := names[i%len(names)], "fail"
		if i/len(names)%2 == 1 {
			event = "recover"
		}
		if n.monitor != name || n.event != event || n.incident == "" || n.key != n.incident+"-"+event ||
			event == "recover" && open[name] != n.incident {
			t.Errorf("change %d: told %+v, want %s of %s, incident %q", i, n, event, name, open[name])
		}
		open[name] = n.incident
	}
	copies := map[string]int{}
	for _, n := range told {
		copies[n.key]++
	}
	for key, n := range copies {
		// A change is told in the run that sees it, and in the one after its kill.
		if n > 2 {
			t.Errorf("%s is told %d times, want at most once more for the one kill", key, n)
		}
	}
	if extra := len(told) - len(first); extra > kills {
		t.Errorf("%d copies after %d kills", extra, kills)
	} else {
		t.Logf("%d copies after %d kills", extra, kills)
	}
}

// TestIncidentsSurviveAKill kills the program while one failure was told and
// one could not be: after the start the first is not told again, the second is,
// and the end of the first, which nobody saw, is told once, with its id and its
// true duration. What is kept holds no secret, and is for us only.
// Faults: G36, T14.
func TestIncidentsSurviveAKill(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	w := newWorld(t)
	args, state := w.args("a", "b")
	m := startMonitor(t, args...)
	m.ready(startWithin)
	w.probed("a", 1)
	w.set("a", true)
	testkit.Eventually(t, 10*time.Second, "the failure is told", func() bool { return len(w.tellings()) == 1 })
	began := time.Now()
	w.mu.Lock()
	w.refuse = true
	w.mu.Unlock()
	w.set("b", true)
	testkit.Eventually(t, 10*time.Second, "the other failure is seen", func() bool { return m.checks(`{"source": 1, "status": 2}`).Total == 2 })
	ledger := filepath.Join(state, "journal")
	testkit.Eventually(t, 5*time.Second, "both are written down", func() bool {
		text, err := os.ReadFile(ledger)
		return err == nil && strings.Count(string(text), `{"incident":`) == 2 && strings.Contains(string(text), `"monitor":"b","host"`)
	})
	m.kill()
	w.mu.Lock()
	w.refuse = false
	w.mu.Unlock()
	text, err := os.ReadFile(ledger)
	if info, stat := os.Stat(ledger); err != nil || stat != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(text), "canary") {
		t.Errorf("what is kept has mode %v (%v, %v):\n%s", info.Mode(), err, stat, text)
	}

	m = startMonitor(t, args...)
	testkit.Eventually(t, 10*time.Second, "what was untold is told", func() bool { return len(w.tellings()) == 2 })
	w.probed("a", 3)
	if told := w.tellings(); len(told) != 2 || told[1].monitor != "b" || told[1].event != "fail" {
		t.Errorf("told %+v, want one failure each", told)
	}
	m.kill()
	w.set("a", false)
	m = startMonitor(t, args...)
	testkit.Eventually(t, 10*time.Second, "the recovery is told", func() bool { return len(w.tellings()) == 3 })
	took := int(time.Since(began) / time.Second)
	w.probed("a", 3)
	told := w.tellings()
	if n := told[len(told)-1]; len(told) != 3 || n.event != "recover" || n.incident != told[0].incident || n.duration < took-3 || n.duration > took+2 {
		t.Errorf("told %+v, want one recovery of the first after %d s", told, took)
	}
	m.stopsInOrder(t)
}

// TestUnwritableStateIsShown takes the disk away from a running
// instance: it tells as before, says in its health what is wrong, and that all is
// well once it is.
// Faults: T20, I8.
func TestUnwritableStateIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args, state := w.args("a")
	m := startMonitor(t, args...)
	m.ready(startWithin)
	w.probed("a", 1)
	testkit.Eventually(t, 10*time.Second, "the disk is well", func() bool { return m.component("state").OK })
	away := state + ".away" // nothing can be written while the directory is not there
	if err := os.Rename(state, away); err != nil {
		t.Fatal(err)
	}
	w.set("a", true)
	took := testkit.Eventually(t, 10*time.Second, "the failure is told", func() bool { return len(w.tellings()) == 1 })
	if took > 5*time.Second {
		t.Errorf("the failure was told after %v", took)
	}
	if p := m.component("state"); p.OK || p.Needed || !strings.Contains(p.Reason, "moved or replaced") {
		t.Errorf("with a bad disk: %+v", p)
	}
	if a := m.checks(`{"id": "go.micro.srv.monitor.state"}`); a.Total != 1 {
		t.Errorf("the check of the state: %+v", a)
	}
	if err := os.Rename(away, state); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "the disk is well again", func() bool { return m.component("state").OK })
	m.stopsInOrder(t)
	if n := strings.Count(m.output(), "writing the ledger failed"); n < 1 || n > 3 {
		t.Errorf("said %d times that the disk is bad", n)
	}
}
