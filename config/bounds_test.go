package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
)

// badDocuments are documents with more mistakes than anybody reads, or that take much
// memory for their size.
func badDocuments() map[string]string {
	const probe = "name=%q\nprobe={type=\"tcp\",address=\"127.0.0.1:1\"}\n"
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]string{
		"150,000 sections":      strings.Repeat("[[monitor]]\nnamee=1\n", 150_000),
		"150,000 receivers":     strings.Repeat("[[receiver]]\nnamee=1\n", 150_000),
		"keys of one section":   "[[monitor]]\n" + numbered(9_000, "k%d=1\n"),
		"keys of the document":  numbered(9_000, "k%d=1\n"),
		"more keys":             numbered(380_000, "k%d=1\n"),
		"tables":                numbered(190_000, "[t%d]\n"),
		"dotted tables":         numbered(20_000, "[a.t%d]\n"),
		"more dotted tables":    numbered(300_000, "[a.t%d]\n"),
		"dotted keys":           numbered(9_000, "a.b.c.d.k%d=1\n"),
		"inline tables":         "[[monitor]]\nactions=[" + strings.Repeat("{},", 1_300_000) + "]\n",
		"inline tables of keys": "[[monitor]]\nactions=[" + strings.Repeat("{a=1},", 690_000) + "]\n",
		"actions":               "[[monitor]]\n" + strings.Repeat("[[monitor.actions]]\n", 200_000),
		"elements":              "[[monitor]]\nname=[" + strings.Repeat("1,", 2_000_000) + "]\n",
		"labels":                "[[monitor]]\n[monitor.labels]\n" + numbered(9_000, "k%d=1\n"),
		"one name":              strings.Repeat("[[monitor]]\n"+fmt.Sprintf(probe, "a"), 5_000),
		"one receiver":          strings.Repeat("[[receiver]]\nname=\"a\"\ntype=\"exec\"\ncommand=\"/a\"\n", 5_000),
	}
}

// TestWorkOnBadDocumentsIsBounded reads one document at a time. The bytes allocated
// stand for the work, because a busy machine says nothing about time. 5,000
// monitors take 40 MiB.
// Faults: S3.
func TestWorkOnBadDocumentsIsBounded(t *testing.T) {
	for name, text := range badDocuments() {
		t.Run(name, func(t *testing.T) {
			if name != "more keys" && name != "one name" {
				testkit.SkipIfShort(t)
			}
			file := testkit.NewFile(t, "bad.toml", text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var set monitor.Set
			problems, err := Load(t.Context(), &set, nil, file)
			if err != nil {
				t.Fatal(err)
			}
			shown := 0
			for _, p := range problems {
				shown += len(p.Error())
			}
			runtime.ReadMemStats(&after)
			if n := len(problems); n == 0 || n > document.MaxProblems+2 {
				t.Errorf("%d problems", n)
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 100 {
				t.Errorf("%d MiB allocated for %d problems with %d bytes", allocated, len(problems), shown)
			} else {
				t.Logf("%d MiB allocated for %d problems with %d bytes", allocated, len(problems), shown)
			}
		})
	}
}

// TestManyBadFilesHaveFewProblemsEach reads 100 files with 100 mistakes each.
// Faults: S3.
func TestManyBadFilesHaveFewProblemsEach(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		testkit.WriteFile(t, filepath.Join(dir, fmt.Sprintf("%02d.toml", i)), strings.Repeat("[[monitor]]\nnamee=1\n", 100))
	}
	var set monitor.Set
	problems, err := Load(t.Context(), &set, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]int)
	for _, p := range problems {
		of[p.File]++
	}
	if len(of) != 100 || len(problems) > document.MaxProblems+300+100*fewProblems {
		t.Errorf("%d problems of %d files", len(problems), len(of))
	}
}

// TestErrorIsShownAmongManyWarnings reads a file whose error comes after its warnings,
// and after a file with as many warnings as are shown of all.
// Faults: S3.
func TestErrorIsShownAmongManyWarnings(t *testing.T) {
	dir := t.TempDir()
	warned := func(n int) string {
		return strings.Repeat("[[monitor]]\nname=\"a\"\nwarn_max=1\nprobe={type=\"tcp\",address=\"127.0.0.1:1\"}\n", n)
	}
	testkit.WriteFile(t, filepath.Join(dir, "a.toml"), warned(document.MaxProblems))
	testkit.WriteFile(t, filepath.Join(dir, "b.toml"), warned(fewProblems)+"[[monitor]]\nnamee=\"b\"\n")
	var set monitor.Set
	problems, err := Load(t.Context(), &set, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if filepath.Base(p.File) == "b.toml" && strings.Contains(p.Error(), "namee: unknown key") {
			return
		}
	}
	t.Errorf("the error is not among %d problems, the last is %v", len(problems), problems[len(problems)-1])
}

// TestLoadEndsWithItsContext loads documents that take much longer than a context
// lives, and a standard input that never ends.
// Faults: S3.
func TestLoadEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		testkit.WriteFile(t, filepath.Join(dir, fmt.Sprintf("%02d.toml", i)), strings.Repeat("[[monitor]]\nnamee=1\n", 40_000))
	}
	for _, path := range []string{dir, "-"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		var set monitor.Set
		problems, err := Load(ctx, &set, neverEnding{t.Context()}, path)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || problems != nil {
			t.Errorf("%s: %d problems, %v", path, len(problems), err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var set monitor.Set
	if _, _, err := LoadDir(ctx, &set, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// neverEnding blocks every read until the test ends.
type neverEnding struct{ ctx context.Context }

func (n neverEnding) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}
