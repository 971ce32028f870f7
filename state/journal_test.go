package state_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

const stateDir = "/state"

func kinds() []state.Kind {
	return []state.Kind{{Name: "a", Version: 1}, {Name: "b", Version: 2}, {Name: "node", Version: 1, UntilSnapshot: true}}
}

// openJournal opens a journal that is neither damaged nor newer.
func openJournal(t testing.TB, d state.Disk, covered state.Mark) *state.Journal {
	t.Helper()
	j, err := state.OpenJournal(d, stateDir, kinds(), covered)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// entriesOf returns what a journal holds, by kind and key.
func entriesOf(j *state.Journal) map[string]string {
	all := make(map[string]string)
	for _, k := range kinds() {
		for _, e := range j.Records(k.Name) {
			all[fmt.Sprintf("%s/%d %s", e.Kind, e.Version, e.Key)] = string(e.Data)
		}
	}
	return all
}

func set(t testing.TB, j *state.Journal, entries ...state.Entry) {
	t.Helper()
	if err := j.Set(entries...); err != nil {
		t.Fatal(err)
	}
}

func TestJournalHoldsTheLastValueOfEachKey(t *testing.T) {
	d := testkit.NewMemDisk()
	j := openJournal(t, d, state.Mark{})
	odd := "a key\nwith: \x00 \x1b all"
	set(t, j, state.Entry{Kind: "a", Key: "1", Data: []byte("first")}, state.Entry{Kind: "b", Key: "1", Data: []byte("\n\x1b\x00n")})
	set(t, j, state.Entry{Kind: "a", Key: odd, Data: []byte("x")}, state.Entry{Kind: "a", Key: "gone", Data: []byte("x")})
	set(t, j, state.Entry{Kind: "a", Key: "1", Data: []byte("second")}, state.Entry{Kind: "a", Key: "gone"})
	want := map[string]string{"a/1 1": "second", "b/2 1": "\n\x1b\x00n", "a/1 " + odd: "x"}
	for range 3 {
		if got := entriesOf(j); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		j = openJournal(t, d, state.Mark{})
	}
	if order := j.Records("a"); order[0].Key != odd || order[1].Key != "1" {
		t.Errorf("in the order %+v", order)
	}
	if err := j.Set(state.Entry{Kind: "c", Key: "1", Data: []byte("x")}); err == nil {
		t.Error("a record of an unknown kind is written")
	}
	if err := errors.Join(j.Close(), j.Set(state.Entry{Kind: "a", Key: "1"})); err == nil {
		t.Error("a closed journal is written")
	}
}
