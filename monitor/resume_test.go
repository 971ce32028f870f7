package monitor

import (
	"os"
	"path/filepath"
	"testing"
)

// What was kept is read once, and never in part.
func TestKeptIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Incident{{Monitor: "m", ID: "i", Failures: 3, Seq: 7}}
	if err := j.Keep(want); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, keptName))
	if err != nil {
		t.Fatal(err)
	}
	var got []Incident
	if err := j.Kept(&got); err != nil || len(got) != 1 || got[0] != want[0] {
		t.Fatalf("%+v, %v", got, err)
	}
	got = nil
	if err := j.Kept(&got); err != nil || got != nil {
		t.Errorf("read twice: %+v, %v", got, err)
	}
	for n := range len(whole) {
		if err := os.WriteFile(filepath.Join(dir, keptName), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got = nil
		if err := j.Kept(&got); err == nil || got != nil {
			t.Fatalf("cut at %d: %+v, %v", n, got, err)
		}
	}
}
