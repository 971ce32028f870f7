package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Sets of what may be true of a registration.
const (
	isAbsent = 1 << iota
	isRunning
	isStopped
)

// registration is what a registrar knows of one monitor: what is true if all that was
// acknowledged is, and the rest was done or not.
type registration struct {
	id  int64 // 0 if the registration was not acknowledged
	may int
}

// registrar registers, stops, starts and unregisters monitors under names that are its
// own, each once.
type registrar struct {
	t      *testing.T
	w      *world
	name   string
	random *rand.Rand
	known  map[string]*registration
	highs  int64 // the highest acknowledged id
	acked  int
}

// step makes one change. It returns false if there was no answer.
func (c *registrar) step(m *subject) bool {
	living := slices.DeleteFunc(slices.Sorted(maps.Keys(c.known)), func(name string) bool {
		return c.known[name].may == isAbsent || c.known[name].id == 0
	})
	if len(living) < 4 {
		return c.register(m)
	}
	name := living[c.random.IntN(len(living))]
	path := fmt.Sprint("/monitor/", c.known[name].id)
	switch r := c.known[name]; {
	case c.random.IntN(6) == 0:
		return c.change(m, r, isAbsent, http.MethodDelete, path, "")
	case r.may == isRunning:
		return c.change(m, r, isStopped, http.MethodPost, path, "stop")
	default:
		return c.change(m, r, isRunning, http.MethodPost, path, "start")
	}
}

// register registers a monitor of one of the targets of killTargets.
func (c *registrar) register(m *subject) bool {
	name := fmt.Sprintf("%s%d", c.name, len(c.known))
	r := &registration{may: isAbsent}
	c.known[name] = r
	target := fmt.Sprintf("%s/target/%d", c.w.url, c.random.IntN(killTargets))
	text := fmt.Sprintf(`{"name": %q, "interval": 1, "probe": {"type": "http", "url": %q}, "actions": [{"receiver": "ops"}]}`, name, target)
	return c.change(m, r, isRunning, http.MethodPost, "/register", text)
}

// change asks for a change after which a registration is next. Without an answer, it may
// be what it was too.
func (c *registrar) change(m *subject, r *registration, next int, method, path, body string) bool {
	before := r.may
	r.may |= next
	status, answer, err := m.change(method, path, body)
	switch {
	case err != nil:
		return false
	case status == http.StatusTooManyRequests:
		r.may = before
		time.Sleep(100 * time.Millisecond)
	case status != http.StatusOK:
		c.t.Errorf("%s %s: %d %s", method, path, status, answer)
	default:
		r.may = next
		c.acked++
		if path == "/register" {
			_, _ = fmt.Sscan(answer, &r.id)
			if r.id <= c.highs {
				c.t.Errorf("id %d after %d", r.id, c.highs)
			}
			c.highs = r.id
		}
	}
	return true
}

// compare checks that an instance has what was acknowledged, and learns the rest.
func (c *registrar) compare(m *subject) {
	all := m.listed()
	for name, r := range c.known {
		one, ok := all[name]
		is := isRunning
		switch {
		case !ok:
			is = isAbsent
		case one.State == "STOPPED":
			is = isStopped
		}
		if is&r.may == 0 || ok && r.id != 0 && one.ID != r.id {
			c.t.Errorf("%s, which was acknowledged as %+v, is %+v", name, *r, one)
		}
		r.may = is
		if ok {
			r.id, c.highs = one.ID, max(c.highs, one.ID)
		}
	}
}

// killing makes the test parallel, and returns how often it kills the service, 200 times in
// the long variant, and a source of random moments.
func killing(t *testing.T, short int) (int, *rand.Rand) {
	t.Helper()
	testkit.SkipIfShort(t)
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	if testkit.Nightly() {
		short = 200
	}
	return short, rand.New(rand.NewPCG(seed, 0))
}

// killTargets is the number of targets, which fail and recover at random.
const killTargets = 6

// disturb lets targets fail and recover, and the receiver refuse and accept.
func (w *world) disturb(random *rand.Rand) {
	target := fmt.Sprint(random.IntN(killTargets))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[target] = !w.failed[target]
	w.refuse = random.IntN(2) == 0
}

// heal makes all targets well and the receiver accept.
func (w *world) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.failed)
	w.refuse = false
}

// unaccepted returns the keys of notifications that the receiver has refused and never
// accepted.
func (w *world) unaccepted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := maps.Clone(w.refused)
	for _, n := range w.told {
		delete(rest, n.key)
	}
	return slices.Sorted(maps.Keys(rest))
}

// checkAlternation checks that each monitor has one failure and its recovery after the
// other. The last failure of one that is not there any more has none.
func (w *world) checkAlternation(exists func(monitor string) bool) {
	w.t.Helper()
	last := make(map[string]telling)
	first := distinct(w.tellings())
	for _, n := range first {
		before := last[n.monitor]
		switch {
		case n.key != n.incident+"-"+n.event || n.incident == "":
			w.t.Errorf("the key of %+v is not that of its event", n)
		case n.event == "fail" && (before.event == "fail" || before.incident == n.incident):
			w.t.Errorf("notified of %+v after %+v", n, before)
		case n.event == "recover" && (before.event != "fail" || before.incident != n.incident):
			w.t.Errorf("notified of %+v after %+v", n, before)
		}
		last[n.monitor] = n
	}
	for name, n := range last {
		if n.event == "fail" && exists(name) {
			w.t.Errorf("%s has recovered, and nobody was notified: %+v", name, n)
		}
	}
	w.t.Logf("%d notifications, and %d copies", len(first), len(w.tellings())-len(first))
}

// TestKillsAtRandomMomentsLoseNothing kills an instance again and again, also while it
// starts, while clients change its monitors, targets fail and recover, and the receiver
// refuses at times. Whatever was acknowledged is true afterwards, and each notification
// that was attempted arrives, under the same key.
// Faults: T22, T49, I6.
func TestKillsAtRandomMomentsLoseNothing(t *testing.T) {
	kills, random := killing(t, 20)
	w := newWorld(t)
	dir := configDir(t, opsReceiver(w.url, "fail", "recover"))
	args := []string{"--registry", "memory", "-d", dir, "--state_dir", t.TempDir() + "/state", "--token_file", tokenFile(t)}
	var clients []*registrar
	for i := range 3 {
		clients = append(clients, &registrar{
			t: t, w: w, name: string(rune('a' + i)), random: rand.New(rand.NewPCG(random.Uint64(), 0)), known: make(map[string]*registration),
		})
	}
	for range kills {
		m := startMonitor(t, args...)
		if random.IntN(5) == 0 {
			time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
			m.kill()
			continue
		}
		m.ready(ample)
		killed := make(chan struct{})
		var busy sync.WaitGroup
		for _, c := range clients {
			c.compare(m)
			busy.Go(func() {
				for c.step(m) {
				}
			})
		}
		disturber := rand.New(rand.NewPCG(random.Uint64(), 0))
		busy.Go(func() {
			for {
				select {
				case <-killed:
					return
				case <-time.After(100 * time.Millisecond):
					w.disturb(disturber)
				}
			}
		})
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		m.kill()
		close(killed)
		busy.Wait()
	}
	m := startMonitor(t, args...)
	m.ready(ample)
	w.heal()
	changes := 0
	for _, c := range clients {
		c.compare(m)
		for _, r := range c.known {
			if r.may == isStopped {
				c.change(m, r, isRunning, http.MethodPost, fmt.Sprint("/monitor/", r.id), "start")
			}
		}
		changes += c.acked
	}
	t.Logf("%d changes were acknowledged", changes)
	testkit.Eventually(t, 4*ample, "what was attempted is delivered, and all is well", func() bool {
		well := !slices.ContainsFunc(slices.Collect(maps.Values(m.listed())), func(one listedMonitor) bool { return one.State != "OK" })
		return well && len(w.unaccepted()) == 0
	})
	exists := m.listed()
	m.stopsInOrder(t) // what is pending is sent
	w.checkAlternation(func(monitor string) bool { _, ok := exists[monitor]; return ok })
	m = startMonitor(t, args...)
	m.ready(ample)
	for _, c := range clients {
		c.compare(m)
	}
}
