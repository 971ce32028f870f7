package delivery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/microhq/monitor-srv/action"
)

// format abbreviates a notification: "fail:1" is the failure of incident 1.
func format(n action.Notification) string { return string(n.Event) + ":" + n.Incident }

// parseAll returns the abbreviated notifications of one monitor.
func parseAll(monitor, abbreviated string) (ns []action.Notification) {
	for _, w := range strings.Fields(abbreviated) {
		event, incident, _ := strings.Cut(w, ":")
		ns = append(ns, action.Notification{Monitor: monitor, Event: action.Event(event), Incident: incident})
	}
	return ns
}

// addAll adds the abbreviated notifications of one monitor to a queue.
func addAll(b *queue, monitor, abbreviated string) {
	for _, n := range parseAll(monitor, abbreviated) {
		b.add(n, time.Now(), 0)
	}
}

// deliverAll delivers everything in a queue, one by one, and returns it.
func deliverAll(b *queue) (delivered []action.Notification) {
	for len(b.ready) > 0 {
		for _, m := range b.take(1, false, time.Time{}) {
			delivered = append(delivered, m.entries[0].Notification)
			b.settle(m, outcomeDelivered)
		}
	}
	return delivered
}

func formatAll(ns []action.Notification) string {
	var ws []string
	for _, n := range ns {
		ws = append(ws, format(n))
	}
	return strings.Join(ws, " ")
}

// formatPending returns the pending notifications of a monitor.
func formatPending(b *queue, monitor string) string {
	var ns []action.Notification
	if t := b.monitors[monitor]; t != nil {
		for _, e := range t.entries {
			ns = append(ns, e.Notification)
		}
	}
	return formatAll(ns)
}

func TestQueueKeepsWhatIsPending(t *testing.T) {
	for name, c := range map[string]struct {
		delivered string // incident delivered before
		in        string
		want      string
		left      Counts
	}{
		"fail":                                       {"", "fail:1", "fail:1", Counts{}},
		"both while down":                            {"", "fail:1 recover:1", "fail:1 recover:1", Counts{}},
		"recovery alone":                             {"", "recover:1", "", Counts{Suppressed: 1}},
		"recovery of a delivered one":                {"1", "recover:1", "recover:1", Counts{}},
		"recovery of another":                        {"1", "recover:2", "", Counts{Suppressed: 1}},
		"same failure twice":                         {"", "fail:1 fail:1", "fail:1", Counts{Superseded: 1}},
		"delivered failure again":                    {"1", "fail:1", "", Counts{Superseded: 1}},
		"recovery twice":                             {"", "fail:1 recover:1 recover:1", "fail:1 recover:1", Counts{Superseded: 1}},
		"two incidents":                              {"", "fail:1 recover:1 fail:2", "fail:1 recover:1 fail:2", Counts{}},
		"start before failure":                       {"", "init: fail:1", "fail:1", Counts{Superseded: 1}},
		"start after failure":                        {"", "fail:1 init:", "fail:1 init:", Counts{}},
		"two starts":                                 {"", "init: init:", "init:", Counts{Superseded: 1}},
		"reminder of a waiting failure":              {"", "fail:1 repeat:1", "fail:1", Counts{Superseded: 1}},
		"reminder of a delivered one":                {"1", "repeat:1", "repeat:1", Counts{}},
		"newer reminder":                             {"1", "repeat:1 repeat:1", "repeat:1", Counts{Superseded: 1}},
		"reminder overtaken by recovery":             {"1", "repeat:1 recover:1", "recover:1", Counts{Superseded: 1}},
		"reminder in place of a lost failure":        {"", "repeat:1 recover:1", "repeat:1 recover:1", Counts{}},
		"reminder after the end":                     {"1", "recover:1 repeat:1", "recover:1", Counts{Superseded: 1}},
		"failure after the end":                      {"", "fail:1 recover:1 fail:1", "fail:1 recover:1", Counts{Superseded: 1}},
		"recovery of the delivered, and another one": {"1", "recover:1 fail:2 recover:2", "recover:1 fail:2 recover:2", Counts{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueue(1000, 10)
			if c.delivered != "" {
				b.restoreNotified("m", c.delivered)
			}
			addAll(b, "m", c.in)
			if got := formatPending(b, "m"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if b.counts != c.left {
				t.Errorf("got %+v, want %+v", b.counts, c.left)
			}
			checkQueue(t, b)
		})
	}
}

func TestQueueSettles(t *testing.T) {
	for name, c := range map[string]struct {
		first     string // taken
		then      string // comes while that is delivered
		whole     bool
		how       outcome
		want      string
		delivered string
		counts    Counts
	}{
		"delivered":                        {"fail:1", "", false, outcomeDelivered, "", "1", Counts{Delivered: 1}},
		"postponed":                        {"fail:1", "recover:1", false, outcomeFailed, "fail:1 recover:1", "", Counts{}},
		"refused":                          {"fail:1", "", false, outcomeRefused, "", "", Counts{Refused: 1}},
		"refused, then its recovery":       {"fail:1", "recover:1", false, outcomeRefused, "", "", Counts{Refused: 1, Suppressed: 1}},
		"refused, reminder takes its part": {"fail:1", "repeat:1", false, outcomeRefused, "repeat:1", "", Counts{Refused: 1}},
		"refused, over before a reminder":  {"fail:1", "repeat:1 recover:1", false, outcomeRefused, "", "", Counts{Refused: 1, Superseded: 1, Suppressed: 1}},
		"refused, next incident stays":     {"fail:1", "recover:1 fail:2", false, outcomeRefused, "fail:2", "", Counts{Refused: 1, Suppressed: 1}},
		"delivered, recovery follows":      {"fail:1", "recover:1", false, outcomeDelivered, "recover:1", "1", Counts{Delivered: 1}},
		"delivered, reminder overtaken":    {"fail:1", "repeat:1 recover:1", false, outcomeDelivered, "recover:1", "1", Counts{Delivered: 1, Superseded: 1}},
		"both at once":                     {"fail:1 recover:1", "", true, outcomeDelivered, "", "", Counts{Delivered: 2}},
		"both refused":                     {"fail:1 recover:1", "fail:2", true, outcomeRefused, "fail:2", "", Counts{Refused: 2}},
		"start postponed, then failure":    {"init:", "fail:1", false, outcomeFailed, "fail:1", "", Counts{Superseded: 1}},
		"start delivered, then failure":    {"init:", "fail:1", false, outcomeDelivered, "fail:1", "", Counts{Delivered: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueue(1000, 10)
			addAll(b, "m", c.first)
			taken := b.take(1, c.whole, time.Time{})
			addAll(b, "m", c.then)
			b.settle(taken[0], c.how)
			delivered := ""
			if t := b.monitors["m"]; t != nil {
				delivered = t.notified
			}
			if got := formatPending(b, "m"); got != c.want || delivered != c.delivered {
				t.Errorf("got %q delivered %q, want %q delivered %q", got, delivered, c.want, c.delivered)
			}
			if b.counts != c.counts {
				t.Errorf("got %+v, want %+v", b.counts, c.counts)
			}
			checkQueue(t, b)
		})
	}
}

func TestQueueRemembersTheOpenIncidentOnly(t *testing.T) {
	b := newQueue(10, 10)
	b.restoreNotified("m", "1")
	addAll(b, "m", "fail:2 recover:1 recover:2")
	var received []action.Notification
	for len(b.ready) > 0 {
		for _, th := range b.take(1, false, time.Time{}) {
			received = append(received, th.entries[0].Notification)
			b.settle(th, outcomeDelivered)
			if n := len(received); n == 2 && th.notified != "2" {
				t.Errorf("after %q the open incident is %q, want 2", formatAll(received), th.notified)
			}
		}
	}
	if got, want := formatAll(received), "fail:2 recover:1 recover:2"; got != want || len(b.monitors) != 0 {
		t.Errorf("got %q and %d monitors, want %q and none", got, len(b.monitors), want)
	}
}

func TestQueueBoundsHistoryButKeepsTheNewest(t *testing.T) {
	b := newQueue(10, 100)
	for i := range 50 {
		addAll(b, "flaps", fmt.Sprintf("fail:%d recover:%d", i, i))
	}
	for i := range 99 {
		b.add(action.Notification{Monitor: fmt.Sprint(i), Event: action.Fail, Incident: "x"}, time.Now(), 0)
	}
	if got, want := formatPending(b, "flaps"), "fail:44 recover:44 fail:45"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "fail:49 recover:49") {
		t.Errorf("got %q, want the newest 6 incidents", got)
	}
	if b.depth != 12+99 || b.counts.Dropped != 88 {
		t.Errorf("got %d waiting, %d dropped, want 111 and 88", b.depth, b.counts.Dropped)
	}
	b.add(action.Notification{Monitor: "one too many", Event: action.Fail, Incident: "x"}, time.Now(), 0)
	if b.counts.Dropped != 89 || len(b.monitors) != 100 {
		t.Errorf("got %d dropped, %d monitors, want 89 and 100", b.counts.Dropped, len(b.monitors))
	}
	checkQueue(t, b)
}

func TestQueueNeverDropsTheRecoveryOfADeliveredFailure(t *testing.T) {
	b := newQueue(4, 10)
	b.restoreNotified("m", "0")
	addAll(b, "m", "recover:0")
	for i := 1; i < 20; i++ {
		addAll(b, "m", fmt.Sprintf("fail:%d recover:%d", i, i))
	}
	if got := formatPending(b, "m"); !strings.HasPrefix(got, "recover:0 ") {
		t.Errorf("got %q, want the recovery first", got)
	}
	checkQueue(t, b)
}

func TestQueueDropsExpiredNotifications(t *testing.T) {
	begin := time.Now()
	b := newQueue(10, 10)
	ns := parseAll("m", "fail:1 recover:1 fail:2")
	b.add(ns[0], begin, 0)
	b.add(ns[1], begin.Add(2*time.Hour), 0)
	b.add(ns[2], begin.Add(2*time.Hour), 0)
	b.take(1, true, begin.Add(time.Hour))
	if got := formatPending(b, "m"); got != "fail:2" {
		t.Errorf("got %q, want only the second failure", got)
	}
	if want := (Counts{Expired: 1, Suppressed: 1}); b.counts != want {
		t.Errorf("got %+v, want %+v", b.counts, want)
	}
	checkQueue(t, b)
}

func TestQueueForgetsWhatIsOver(t *testing.T) {
	b := newQueue(10, 10)
	for i := range 100 {
		m := fmt.Sprint(i)
		for _, n := range parseAll(m, "init: fail:1 recover:1") {
			b.add(n, time.Now(), 0)
			for _, th := range b.take(1, false, time.Time{}) {
				b.settle(th, outcomeDelivered)
			}
		}
	}
	if len(b.monitors) != 0 || cap(b.ready) > 64 {
		t.Errorf("%d monitors and %d places are left", len(b.monitors), cap(b.ready))
	}
	b.restoreNotified("gone", "1")
	b.forget("gone")
	if len(b.monitors) != 0 {
		t.Error("a forgotten monitor is left")
	}
}

// A removed monitor with pending notifications is remembered until they are
// delivered, also over a restart, and then forgotten.
func TestQueueForgetsAMonitorOnceAllIsDelivered(t *testing.T) {
	for name, c := range map[string]struct{ delivered, add, pending string }{
		"the failure waits":         {"", "fail:1", ""},
		"the recovery waits":        {"1", "recover:1", "1"},
		"a reminder waits":          {"1", "repeat:1", ""},
		"an end and a failure wait": {"1", "recover:1 fail:2", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newQueue(10, 1)
			if c.delivered != "" {
				b.restoreNotified("m", c.delivered)
			}
			addAll(b, "m", c.add)
			b.forget("m")
			if got := b.monitors["m"].notified; got != c.pending {
				t.Errorf("%q is remembered, want %q", got, c.pending)
			}
			deliverAll(b)
			b.add(action.Notification{Monitor: "another", Event: action.Fail, Incident: "3"}, time.Now(), 0)
			if b.counts.Dropped != 0 || b.monitors["m"] != nil {
				t.Errorf("a removed monitor takes the place of another: %+v", b.counts)
			}
			checkQueue(t, b)
		})
	}
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkQueue compares the counts of b with its content.
func checkQueue(t failer, b *queue) {
	t.Helper()
	depth, older, ready := 0, 0, 0
	for _, th := range b.monitors {
		depth += len(th.entries)
		older += th.olderCount()
		if len(th.entries) > 0 && th.inFlight == 0 {
			ready++
		}
		if len(th.entries) == 0 && th.notified == "" {
			t.Errorf("an empty monitor is retained")
		}
	}
	if b.depth != depth || b.olderCount != older || len(b.ready) != ready {
		t.Errorf("counted depth %d, older %d, ready %d; there are %d, %d, %d", b.depth, b.olderCount, len(b.ready), depth, older, ready)
	}
}

// A receiver that accepts and refuses at random gets the incidents in order, no
// recovery without its failure, and in the end the newest state.
// Faults: T45, I6.
func TestQueueSurvivesFaultsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newQueue(6, 3)
		monitors := []string{"a", "b", "c"}
		seq := map[string]int{}
		failing := map[string]bool{}
		received := map[string][]action.Notification{}
		var added int
		whole := rapid.Bool().Draw(t, "whole")
		var inFlight []*monitorQueue
		var again []string // of a message that may have been taken
		tell := func(o outcome) {
			if (o == outcomeDelivered || o == outcomeRefused) && inFlight != nil {
				again = nil
			}
			for _, th := range inFlight {
				if o == outcomeDelivered {
					for _, e := range th.entries[:th.inFlight] {
						received[th.monitor] = append(received[th.monitor], e.Notification)
					}
				}
				b.settle(th, o)
			}
			inFlight = nil
		}
		refusals := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m := rapid.SampledFrom(monitors).Draw(t, "monitor")
			n := action.Notification{Monitor: m, Incident: fmt.Sprint(m, seq[m])}
			switch step := rapid.SampledFrom([]string{"change", "change", "remind", "start", "take", "deliver", "postpone", "miss", "refuse"}).Draw(t, "step"); step {
			case "change":
				n.Event = action.Recover
				if !failing[m] {
					seq[m]++
					n.Event, n.Incident = action.Fail, fmt.Sprint(m, seq[m])
				}
				failing[m] = !failing[m]
				b.add(n, time.Now(), 0)
				added++
			case "remind":
				if failing[m] {
					n.Event = action.Repeat
					b.add(n, time.Now(), 0)
					added++
				}
			case "start":
				n.Event, n.Incident = action.Init, ""
				b.add(n, time.Now(), 0)
				added++
			case "take":
				if inFlight != nil {
					break
				}
				if whole {
					inFlight = b.take(10, true, time.Time{})
					if again != nil && !slices.Equal(inFlightKeys(inFlight), again) {
						t.Errorf("took %q, want what may have been taken before, %q", inFlightKeys(inFlight), again)
					}
					break
				}
				inFlight = b.take(rapid.IntRange(1, 3).Draw(t, "limit"), false, time.Time{})
			case "deliver":
				tell(outcomeDelivered)
			case "postpone":
				again = inFlightKeys(inFlight)
				tell(outcomeFailed)
			case "miss":
				tell(outcomeUnreachable)
			case "refuse":
				refusals = refusals || len(inFlight) > 0
				tell(outcomeRefused)
			}
			checkQueue(t, b)
			bound := 6 + len(monitors)
			for _, th := range b.monitors {
				bound += th.held()
			}
			if b.olderCount > bound {
				t.Errorf("%d old notifications wait, want at most 6, one a monitor and what is held", b.olderCount)
			}
		}
		tell(outcomeDelivered)
		for len(b.ready) > 0 {
			inFlight = b.take(10, whole, time.Time{})
			tell(outcomeDelivered)
		}
		for _, m := range monitors {
			checkOrder(t, received[m])
			if last := lastEvent(received[m]); !refusals && seq[m] > 0 {
				want := format(action.Notification{Event: action.Recover, Incident: fmt.Sprint(m, seq[m])})
				if failing[m] {
					want = format(action.Notification{Event: action.Fail, Incident: fmt.Sprint(m, seq[m])})
				}
				if last != want {
					t.Errorf("%s: the last notification was %q, want %q", m, last, want)
				}
			}
		}
		c := b.counts
		if sum := c.Delivered + c.Refused + c.Expired + c.Dropped + c.Superseded + c.Suppressed; sum != uint64(added) {
			t.Errorf("%d notifications, but counted %+v", added, c)
		}
	})
}

// inFlightKeys returns the keys of the notifications in flight, sorted.
func inFlightKeys(ts []*monitorQueue) (keys []string) {
	for _, t := range ts {
		for _, e := range t.entries[:t.inFlight] {
			keys = append(keys, e.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

// lastEvent returns the last failure or recovery. A reminder counts as a failure.
func lastEvent(ns []action.Notification) (last string) {
	for _, n := range ns {
		switch n.Event {
		case action.Fail, action.Recover:
			last = format(n)
		case action.Repeat:
			last = format(action.Notification{Event: action.Fail, Incident: n.Incident})
		}
	}
	return last
}

// checkOrder checks the order of the notifications about one monitor.
func checkOrder(t failer, ns []action.Notification) {
	t.Helper()
	open, over := "", map[string]bool{}
	for _, n := range ns {
		switch n.Event {
		case action.Fail, action.Repeat:
			if over[n.Incident] {
				t.Errorf("%s after its end in %q", format(n), formatAll(ns))
			}
			open = n.Incident
		case action.Recover:
			if open != n.Incident {
				t.Errorf("%s without its failure in %q", format(n), formatAll(ns))
			}
			over[n.Incident] = true
			open = ""
		}
	}
}
