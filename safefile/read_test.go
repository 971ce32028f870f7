package safefile_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/safefile"
)

// TestOnlyRegularFilesAreRead reads what may stand in the place of a file. A read that
// waits lets the test time out.
// Faults: S2.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	testkit.WriteFile(t, path("file"), "content")
	testkit.MakeFIFO(t, path("pipe"))
	l, err := net.Listen("unix", path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, target := range []string{"file", "pipe", "loop", "absent"} {
		link := "link to " + target
		if target == "loop" {
			target, link = "loop", "loop"
		}
		if err := os.Symlink(path(target), path(link)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "open PATH: not a regular file but "
	for name, expected := range map[string]string{
		path("file"):           "",
		path("link to file"):   "",
		path("pipe"):           want + "a named pipe: give the path of a regular file",
		path("link to pipe"):   want + "a named pipe: give the path of a regular file",
		path("socket"):         want + "a socket: give the path of a regular file",
		dir:                    want + "a directory: give the path of a regular file",
		"/dev/zero":            want + "a device: give the path of a regular file",
		"/dev/tty":             want + "a device: give the path of a regular file",
		path("loop"):           "open PATH: too many levels of symbolic links",
		path("absent"):         "open PATH: no such file or directory",
		path("link to absent"): "open PATH: no such file or directory",
		path("file/below"):     "open PATH: not a directory",
		"":                     "open PATH: no such file or directory",
	} {
		text, err := safefile.Read(name, 100)
		var pathError *fs.PathError
		switch {
		case expected == "":
			if err != nil || string(text) != "content" {
				t.Errorf("%s: got %q, %v", name, text, err)
			}
		case !errors.As(err, &pathError), err.Error() != strings.Replace(expected, "PATH", name, 1):
			t.Errorf("%s: error %v, want %s", name, err, expected)
		}
	}
}

// TestPipeWithAWriterIsNotRead has a process that writes nothing at the other end.
// Faults: S2.
func TestPipeWithAWriterIsNotRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	testkit.MakeFIFO(t, pipe)
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := safefile.Read(pipe, 100); err == nil || !strings.Contains(err.Error(), "a named pipe") {
		t.Errorf("error %v", err)
	}
}

// TestFileThatBecomesAPipeBlocksNobody swaps a file and a named pipe all the time.
// Faults: S2.
func TestFileThatBecomesAPipeBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	path, file, pipe := filepath.Join(dir, "secret"), filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	testkit.WriteFile(t, file, "content")
	testkit.MakeFIFO(t, pipe)
	link := func(target string) {
		tmp := path + ".tmp"
		if err := errors.Join(os.Symlink(target, tmp), os.Rename(tmp, path)); err != nil {
			t.Error(err)
		}
	}
	link(file)
	done := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				link(pipe)
				link(file)
			}
		}
	})
	for range 2000 {
		text, err := safefile.Read(path, 100)
		if err == nil && string(text) != "content" {
			t.Fatalf("got %q", text)
		}
	}
	close(done)
	swapping.Wait()
}

func TestFilesAboveTheLimitAreNotRead(t *testing.T) {
	for _, c := range []struct {
		size  int
		limit int64
		want  string
	}{
		{0, 10, ""}, {10, 10, ""},
		{11, 10, "larger than the limit of 10 bytes"},
		{64<<10 + 1, 64 << 10, "larger than the limit of 64 KiB"},
		{1<<20 + 1, 1 << 20, "larger than the limit of 1 MiB"},
	} {
		file := testkit.TempFile(t, strings.Repeat("x", c.size), 0o600)
		text, err := safefile.Read(file, c.limit)
		if c.want == "" {
			if err != nil || len(text) != c.size {
				t.Errorf("%d of %d bytes: %v", len(text), c.size, err)
			}
			continue
		}
		if !errors.Is(err, safefile.ErrTooLarge) || err.Error() != "read "+file+": "+c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	// The size of such a file is 0.
	if _, err := safefile.Read("/proc/self/status", 10); !errors.Is(err, safefile.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

func TestErrorsWithoutThePath(t *testing.T) {
	_, err := safefile.Read("/nonexistent", 1)
	if got := safefile.WithoutPath(err).Error(); got != "cannot open it: no such file or directory" {
		t.Error(got)
	}
	if !errors.Is(safefile.WithoutPath(err), fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	if other := errors.New("other"); safefile.WithoutPath(other) != other || safefile.WithoutPath(nil) != nil {
		t.Error("another error changed")
	}
}
