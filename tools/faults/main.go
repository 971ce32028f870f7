// Command faults runs the fault programme: the tests that prove a fault case, and
// those with a long variant, in that variant. It runs in parts that take less than
// ten minutes each:
//
//	faults          list the parts and run them one after the other
//	faults PART...  run these
//	faults -list    list the parts and their tests
//
// The output of a part goes to bin/fault-logs/PART.log. A test that is skipped proves
// nothing, so its part fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// limit is the longest that a part may take, without its build.
const limit = 10 * time.Minute

func main() {
	list := flag.Bool("list", false, "list the parts and their tests")
	tree := flag.String("tree", ".", "the root `folder` of the module")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *tree, *list, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, tree string, list bool, names []string) error {
	all, err := find(tree)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("no fault test found")
	}
	if list {
		for _, p := range all {
			fmt.Fprintf(out, "%s\n\t%s\n", p.name, strings.Join(p.tests, "\n\t"))
		}
		return nil
	}
	chosen, err := choose(all, names)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		fmt.Fprintf(out, "%s: %d tests\n", p.name, len(p.tests))
	}
	var failed []string
	for _, p := range chosen {
		begin := time.Now()
		err := p.run(ctx, out, tree)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took := time.Since(begin).Round(time.Second)
		if err != nil {
			failed = append(failed, p.name)
			fmt.Fprintf(out, "==> FAILED: %s (%v): %v\n", p.name, took, err)
			continue
		}
		fmt.Fprintf(out, "==> passed: %s (%v)\n", p.name, took)
	}
	if len(failed) > 0 {
		return fmt.Errorf("these parts failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// choose returns the parts of those names, or all.
func choose(all []part, names []string) ([]part, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []part
	for _, name := range names {
		i := slices.IndexFunc(all, func(p part) bool { return p.name == name })
		if i < 0 {
			var known []string
			for _, p := range all {
				known = append(known, p.name)
			}
			return nil, fmt.Errorf("no part %q: there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// run runs the tests of the part in the folder of its package, which may belong to
// a module of its own.
func (p part) run(ctx context.Context, out io.Writer, tree string) error {
	file := filepath.Join(tree, "bin", "fault-logs", strings.ReplaceAll(p.name, "/", "-")+".log")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	log, err := os.Create(file)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "go", "test", "-race", "-count=1", "-v", "-parallel=6", "-timeout="+limit.String(),
		"-run=^("+strings.Join(p.tests, "|")+")$", ".")
	cmd.Dir = filepath.Join(tree, p.pkg)
	cmd.Env = append(os.Environ(), longVariable+"=1")
	cmd.Stdout, cmd.Stderr = log, log
	// go passes an interrupt on to the test; a kill would leave that running.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Run()
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		return readErr
	}
	failed, skipped := verdicts(string(text))
	for _, line := range append(failed, skipped...) {
		fmt.Fprintln(out, line)
	}
	switch {
	case err != nil && len(failed) == 0:
		return fmt.Errorf("%w, see %s:\n%s", err, file, tail(string(text), 30))
	case err != nil:
		return fmt.Errorf("%d tests failed, see %s", len(failed), file)
	case len(skipped) > 0:
		return fmt.Errorf("%d tests were skipped and prove nothing, see %s", len(skipped), file)
	case !strings.Contains(string(text), "--- PASS"):
		return fmt.Errorf("no test ran, see %s", file)
	}
	return nil
}

// verdicts returns the lines of failed and of skipped tests.
func verdicts(text string) (failed, skipped []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch trimmed := strings.TrimLeft(line, " "); {
		case strings.HasPrefix(trimmed, "--- FAIL"):
			failed = append(failed, line)
		case strings.HasPrefix(trimmed, "--- SKIP"):
			skipped = append(skipped, line)
		}
	}
	return failed, skipped
}

// tail returns the last lines of the text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
