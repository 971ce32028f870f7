package monitor

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/probe"
)

// snapshotOf returns the records of a Group.
func snapshotOf(t *testing.T, g *Group) (records [][]byte) {
	t.Helper()
	copied := func(data []byte) error { records = append(records, slices.Clone(data)); return nil }
	if err := g.WriteSnapshot(copied); err != nil {
		t.Fatal(err)
	}
	return records
}

// recalling returns what startAfter prepares a Group with: the records of another one.
func recalling(t *testing.T, records [][]byte, down time.Duration) func(*Group) {
	return func(g *Group) {
		g.Restarted(down)
		for _, data := range records {
			if err := g.ReadSnapshot(SnapshotVersion, data); err != nil {
				t.Error(err)
			}
		}
	}
}

// restart kills the instance and starts one with other files after down. The snapshot is
// that of the kill.
func (l *instance) restart(t *testing.T, files string, down time.Duration) *instance {
	t.Helper()
	return l.restartWith(t, files, down, snapshotOf(t, l.Group))
}

// restartWith is restart with the records of an earlier snapshot.
func (l *instance) restartWith(t *testing.T, files string, down time.Duration, records [][]byte) *instance {
	t.Helper()
	d := l.kill()
	time.Sleep(down)
	return startAfter(t, d, files, recalling(t, records, down))
}

// probing returns a probe function that takes results from a list that restarts share,
// see results.
func probing(of *string) probeFunc {
	return func(ctx context.Context, name string) (probe.Result, error) {
		now := (*of)[:1]
		if len(*of) > 1 {
			*of = (*of)[1:]
		}
		return results(now)(ctx, name)
	}
}

// inBubble runs a subtest in a bubble.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// withAndWithoutRestarts runs two subtests in bubbles.
func withAndWithoutRestarts(t *testing.T, name string, test func(t *testing.T, restarts bool)) {
	t.Helper()
	inBubble(t, name, func(t *testing.T) { test(t, false) })
	inBubble(t, name+", with restarts", func(t *testing.T) { test(t, true) })
}
