package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

// stateComponent opens and runs a state directory, and returns a function that looks at
// its component.
func stateComponent(t *testing.T, path string, log *testkit.LogBuffer) func() condition {
	t.Helper()
	s, err := openState(path, testkit.InfoTo(log))
	if err != nil {
		t.Fatal(err)
	}
	s.restore(nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.run(ctx, func() delivery.Snapshot { return delivery.Snapshot{} }) }()
	t.Cleanup(func() { cancel(); <-ended; s.close() })
	return s.components()[0].look
}

// TestComponentTellsThatTheStateDirectoryWasMoved renames the directory under its
// instance. A second instance uses the path, and the first one says that it does not.
// Faults: S9.
func TestComponentTellsThatTheStateDirectoryWasMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var log testkit.LogBuffer
	first := stateComponent(t, path, &log)
	if c := first(); !c.OK {
		t.Errorf("got %+v", c)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	second := stateComponent(t, path, &log)
	testkit.Eventually(t, 10*time.Second, "the first notices", func() bool { return !first().OK })
	if c := first(); !strings.Contains(c.Reason, "moved or replaced") || c.Since.IsZero() {
		t.Errorf("the first: %+v", c)
	}
	if c := second(); !c.OK {
		t.Errorf("the second: %+v", c)
	}
	if !strings.Contains(log.String(), "the state directory cannot be written") {
		t.Errorf("logged %s", &log)
	}
}

// TestComponentTellsThatTheStateIsNewer starts with files of a newer program.
// Faults: S8.
func TestComponentTellsThatTheStateIsNewer(t *testing.T) {
	record := func(body string) string {
		return fmt.Sprintf("%08x %d %s\n", state.Checksum([]byte(body)), len(body), body)
	}
	old := `{"last_id":1,"monitors":[],"key":"","epoch":2}`
	head := `{"head":{"version":2,"records":0}}`
	for name, text := range map[string]string{
		"journal":       record("j1/0 file/2 journal"),
		"snapshot-1":    record("s1/0 file/2 snapshot"),
		"monitors.json": fmt.Sprintf(`{"crc32c":%d,"state":%s}`, state.Checksum([]byte(old)), old),
		"ledger":        fmt.Sprintf("%08x %s\n", state.Checksum([]byte(head)), head),
	} {
		path := t.TempDir()
		testkit.WriteFile(t, filepath.Join(path, name), text)
		var log testkit.LogBuffer
		c := stateComponent(t, path, &log)()
		if c.OK || !strings.Contains(c.Reason, "a newer monitor-srv has written it") || c.Since.IsZero() || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%s: got %+v, logged %s", name, c, &log)
		}
		if left := testkit.ReadFile(t, filepath.Join(path, name)); string(left) != text {
			t.Errorf("%s: the file holds %q", name, left)
		}
	}
}
