package config

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// watch runs a watcher until the test ends and returns what counts its calls.
func watch(t *testing.T, dir string) (w *Watcher, calls chan struct{}) {
	t.Helper()
	calls = make(chan struct{}, 100)
	w = NewWatcher(WatcherConfig{Dir: dir, Changed: func(context.Context) { calls <- struct{}{} }, Log: testkit.QuietLog()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.Close()
	})
	return w, calls
}

func called(t *testing.T, calls chan struct{}, why string) {
	t.Helper()
	select {
	case <-calls:
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing was called for %s", why)
	}
}

func put(t *testing.T, dir, name string) {
	t.Helper()
	testkit.WriteFile(t, filepath.Join(dir, name), "#")
}

func TestWatcherReportsFilesOfADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "late")
	w, calls := watch(t, dir)
	w.Reread()
	called(t, calls, "a reread")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	called(t, calls, "a directory that was created later")
	put(t, dir, "a.toml")
	called(t, calls, "a new file")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	called(t, calls, "another directory of the name")
	put(t, dir, "b.toml")
	called(t, calls, "a file of it")
}

func TestWatcherReportsOnlyWhatIsRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"/x/a.toml": true, "/x/..data": true, "/x/a.toml.tmp": false, "/x/.a.toml.swp": false, "/x/README": false, "/x/..data_tmp": false,
	} {
		if got := isRelevant(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestWatcherAsksForChangesElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var changed atomic.Bool
		var calls []time.Duration
		began := time.Now()
		// Without a watcher of the file system, whose goroutine is not of the bubble.
		w := &Watcher{dir: &watchedDir{}, cfg: WatcherConfig{
			Changed:          func(context.Context) { calls = append(calls, time.Since(began)) },
			ChangedElsewhere: func(context.Context) bool { return changed.Swap(false) },
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(15 * time.Second)
		changed.Store(true)
		time.Sleep(time.Minute)
		cancel()
		<-done
		if len(calls) != 1 || calls[0] != 2*PollInterval+debounceDelay {
			t.Errorf("called after %v, want once after %v", calls, 2*PollInterval+debounceDelay)
		}
	})
}

func TestQuietIsWaitedForNotForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quiet := newDebounceTimer()
		began := time.Now()
		quiet.changed()
		<-quiet.C
		if took := time.Since(began); took != debounceDelay {
			t.Errorf("after one change it waited %v, want %v", took, debounceDelay)
		}
		quiet.first = time.Time{}
		began = time.Now()
		for fired := false; !fired; {
			quiet.changed()
			select {
			case <-quiet.C:
				fired = true
			case <-time.After(debounceDelay / 2):
			}
		}
		if took := time.Since(began); took < maxDebounce || took > maxDebounce+debounceDelay {
			t.Errorf("under constant changes it waited %v, want about %v", took, maxDebounce)
		}
	})
}
