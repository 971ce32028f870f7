package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/monitor"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSecretsAreTakenAlsoWithoutADirectoryOfMonitors rotates a token of a monitor
// that was registered with a program that reads no files.
func TestSecretsAreTakenAlsoWithoutADirectoryOfMonitors(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "first")
	group, _ := newGroup(groupConfig{recorder: discard{}, log: log})
	f := &files{dir: filepath.Join(t.TempDir(), "none"), log: log, group: group}
	d, err := monitor.ParseOne(fmt.Sprintf(`{"name": "web", "probe": {"type": "http", "url": "http://localhost/", "bearer_file": %q}}`, token))
	if err != nil {
		t.Fatal(err)
	}
	d.Trusted = true
	if _, err := group.Register(d); err != nil {
		t.Fatal(err)
	}
	write(t, token, "second")
	f.load()
	if !strings.Contains(said.String(), "reloaded the secrets of a monitor") {
		t.Errorf("the log says\n%s", said.String())
	}
}

func TestFilesFailFromTheFirstProblemToTheLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.toml")
	const text = "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"127.0.0.1:1\" }\n"
	write(t, file, text)
	log := slog.New(slog.DiscardHandler)
	group, _ := newGroup(groupConfig{recorder: discard{}, log: log})
	f := newFiles(dir, group, nil, log)
	defer f.close()
	look := f.component().look
	if c := look(); !c.OK || c.Reason != "" || time.Since(c.Since) > time.Minute {
		t.Errorf("good files: %+v", c)
	}
	write(t, file, strings.ReplaceAll(text, "type", "typ"))
	f.load()
	failing := look()
	if failing.OK || !strings.HasPrefix(failing.Reason, "1 problem in the files of monitors, see the log; the first: ") {
		t.Errorf("a bad file: %+v", failing)
	}
	f.load()
	if again := look(); again != failing {
		t.Errorf("read again: %+v, want %+v", again, failing)
	}
	write(t, file, text)
	f.load()
	if c := look(); !c.OK || c.Reason != "" || !c.Since.After(failing.Since) {
		t.Errorf("mended: %+v", c)
	}
}
