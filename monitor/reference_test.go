package monitor

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// Faults: U7.
func TestMonitorsAreReferredToByIDOrName(t *testing.T) {
	g := builtinGroup()
	for _, name := range []string{"shop", "3", "a/b ?", "..", "monitor:shop", "日本", "0007", "-1", "monitor:", "Größe"} {
		if _, err := g.Register(mustParse(t, `{"name": "`+name+`", "probe": {"type": "tcp", "address": "192.0.2.1:1"}}`)); err != nil {
			t.Fatal(err)
		}
	}
	for ref, want := range map[string]int64{
		"1": 1, "shop": 1, "2": 2, "monitor:3": 2, "3": 3, "a/b ?": 3, "..": 4, "monitor:..": 4,
		"monitor:shop": 1, "monitor:monitor:shop": 5, "日本": 6, "7": 7, "007": 7, "monitor:0007": 7, "-1": 8, "9": 9, "Gro\u0308\u00dfe": 10, "monitor:monitor:": 9,
	} {
		if got, err := g.Resolve(ref); got != want || err != nil {
			t.Errorf("%q: got %d, %v; want %d", ref, got, err, want)
		}
	}
	for ref, want := range map[string]string{
		"shpo": `monitor "shpo": not found; did you mean "shop"?`, "": `monitor "": not found`,
		"monitor:":             `monitor "": not found; the monitor with this name is monitor:monitor:`,
		"99999999999999999999": "monitor 99999999999999999999: not found", "Shop": "not found",
	} {
		if _, err := g.Resolve(ref); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", ref, err, want)
		}
	}
	// The id of a monitor that is gone is not taken for a name.
	if err := g.Unregister(3); err != nil {
		t.Fatal(err)
	}
	if id, err := g.Resolve("3"); !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "; the monitor with this name is monitor:3") {
		t.Errorf("got %d, %v", id, err)
	}
}

// Faults: U7.
func TestUnrestoredMonitorsAreReferredToByName(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		register(t, b, "r1")
		b.stop()
		b = newJournalBench(t, dir)
		b.Restore(func(*Definition) error { return errors.New("not any more") })
		for _, ref := range []string{"r1", "1"} {
			if id, err := b.Resolve(ref); id != 1 || err != nil {
				t.Errorf("%s: got %d, %v", ref, id, err)
			}
		}
		if err := b.Unregister(1); err != nil {
			t.Error(err)
		}
		if _, err := b.Resolve("r1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("unregistered: %v", err)
		}
		b.stop()
	})
}

// Run with -race.
func TestUnrestoredMonitorsAreReferredToWhileOthersAreUnregistered(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newJournalBench(t, dir)
		for _, name := range []string{"r1", "r2", "r3"} {
			register(t, b, name)
		}
		b.stop()
		b = newJournalBench(t, dir)
		var asking sync.WaitGroup
		asking.Go(func() {
			for range 1000 {
				if id, err := b.IDOf("r3"); id != 3 || err != nil {
					t.Errorf("got %d, %v", id, err)
					return
				}
			}
		})
		for id := range int64(2) {
			if err := b.Unregister(id + 1); err != nil {
				t.Error(err)
			}
		}
		asking.Wait()
		b.stop()
	})
}
