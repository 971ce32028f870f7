package discovery

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// fleet is a number of nodes of one service, each with a check and a monitor of the kind
// event for it.
type fleet struct {
	t      *testing.T
	store  *store.Store
	probes map[string]probe.Probe
	bad    map[string]bool
	alarms []string // of nodes, one for each time that a monitor begins to fail
}

func nodeName(n int) string { return fmt.Sprintf("node-%03d", n) }

func (f *fleet) put(node string, kind store.Kind, status int32, timestamp time.Time) {
	f.store.Put(&store.Event{
		Kind: kind, Service: []byte("shop"), Version: []byte("1"), Node: []byte(node), ID: []byte("db"),
		Status: status, Interval: 10, TTL: 600, Timestamp: timestamp.Unix(),
	})
}

func (f *fleet) report(node string) {
	f.put(node, store.KindStatus, int32(healthpb.Status_RUNNING), time.Now())
	f.put(node, store.KindCheck, int32(healthpb.HealthCheck_OK), time.Now())
}

// begin makes monitors of a store, as after a start.
func (f *fleet) begin(s *store.Store, nodes ...string) {
	f.store, f.probes = s, make(map[string]probe.Probe)
	env := probe.Env{Events: NewLocal(s)}
	for _, node := range nodes {
		p, err := probe.New(probe.Builtin(), "event", testkit.DecodeTOML("service = \"shop\"\ncheck = \"db\"\nnode = \""+node+"\""), env)
		if err != nil {
			f.t.Fatal(err)
		}
		f.probes[node] = p
	}
}

// run lets nodes report every ten seconds, and probes each time that a step has passed, as
// the monitors do.
func (f *fleet) run(lasts, step time.Duration, alive []string) {
	for at := time.Duration(0); at < lasts; at += step {
		if at%(10*time.Second) == 0 {
			for _, node := range alive {
				f.report(node)
			}
		}
		time.Sleep(step)
		for node, p := range f.probes {
			r, err := p.Probe(f.t.Context())
			bad := err != nil || r.Value > 0
			if bad && !f.bad[node] {
				f.alarms = append(f.alarms, node)
			}
			f.bad[node] = bad
		}
	}
}

// TestExactlyTheDeadAlarmAfterARestart: while we are down for five minutes, 10 of 200
// nodes die, 10 stop and 10 start. Those that stopped say so to a broker that delivers it
// once we are back.
// Faults: U1.
func TestExactlyTheDeadAlarmAfterARestart(t *testing.T) {
	const down = 5 * time.Minute
	var all []string
	for n := range 210 {
		all = append(all, nodeName(n))
	}
	old, dead, stopped, alive := all[:200], all[:10], all[10:20], all[20:]
	for name, tc := range map[string]struct {
		restored bool
		quiet    time.Duration // after the start, without any alarm
		alarms   []string
	}{
		"with a state directory": {true, 14 * time.Second, dead},
		"without one":            {false, 89 * time.Second, dead},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := fleet{t: t, bad: make(map[string]bool)}
			f.begin(store.New(store.Config{}), old...)
			f.run(time.Minute, 10*time.Second, old)
			var snapshot [][]byte
			if err := f.store.WriteSnapshot(func(record []byte) error {
				snapshot = append(snapshot, bytes.Clone(record))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			f.run(9*time.Second, time.Second, old) // lost
			time.Sleep(down)
			stopsAt := time.Now().Add(-down / 2)

			s := store.New(store.Config{})
			if tc.restored {
				for _, record := range snapshot {
					if err := s.ReadSnapshot(store.SnapshotVersion, record); err != nil {
						t.Fatal(err)
					}
				}
				s.Resume(down + 9*time.Second)
			}
			f.begin(s, all...)
			for _, node := range stopped {
				f.put(node, store.KindStatus, int32(healthpb.Status_STOPPED), stopsAt)
			}
			f.run(tc.quiet, time.Second, alive)
			if len(f.alarms) > 0 {
				t.Errorf("%s: %q alarm within %s", name, f.alarms, tc.quiet)
			}
			f.run(20*time.Minute, 10*time.Second, alive)
			if slices.Sort(f.alarms); !slices.Equal(f.alarms, tc.alarms) {
				t.Errorf("%s: alarms of %q, want each of %q once", name, f.alarms, tc.alarms)
			}
		})
	}
}
