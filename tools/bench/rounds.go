package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// slow are the benchmarks that take many seconds whatever -benchtime says. They
// are run only when -bench asks for them.
const slow = "^(Memory|Lock|Group|GroupExec10000)$"

// leastRounds are the fewest whose quartiles say anything.
const leastRounds = 4

// rounds runs the benchmarks of two trees in turn.
type rounds struct {
	old, new  string // their folders
	dir       string // for the test binaries
	count     int
	benchtime string
	bench     *regexp.Regexp // of the functions, without "Benchmark"
	skip      *regexp.Regexp
	out, log  io.Writer
}

// mainCompare is the command "bench compare".
func mainCompare(args []string) (err error) {
	flags := flag.NewFlagSet("compare", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: bench compare [FLAGS] OLD_TREE NEW_TREE")
		flags.PrintDefaults()
	}
	count := flags.Int("rounds", 10, "run each benchmark `N` times in each tree")
	benchtime := flags.String("benchtime", "100ms", "the `time` of one run")
	pattern := flags.String("bench", "", "run only functions whose name matches `PATTERN` (default: all but "+slow+")")
	_ = flags.Parse(args)
	if flags.NArg() != 2 {
		flags.Usage()
		return errors.New("give two folders")
	}
	if *count < leastRounds {
		return fmt.Errorf("give at least %d rounds: fewer do not show how much the old tree varies", leastRounds)
	}
	r := rounds{old: flags.Arg(0), new: flags.Arg(1), count: *count, benchtime: *benchtime, out: os.Stdout, log: os.Stderr}
	if r.bench, err = regexp.Compile(*pattern); err != nil {
		return err
	}
	if *pattern == "" || *pattern == "." {
		r.skip = regexp.MustCompile(slow)
	}
	if r.dir, err = os.MkdirTemp("", "bench-compare-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.dir) }()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return r.run(ctx)
}

// run builds both trees, runs their benchmarks, and prints the report. The error
// says that something is worse, or that a benchmark failed.
func (r rounds) run(ctx context.Context) error {
	before, err := r.build(ctx, r.old, "old")
	if err != nil {
		return err
	}
	after, err := r.build(ctx, r.new, "new")
	if err != nil {
		return err
	}
	s := sides{newResults(), newResults()}
	var failed error
	for _, p := range pairs(before, after) {
		if err := r.both(ctx, p, s); err != nil {
			if ctx.Err() != nil {
				return err
			}
			fmt.Fprintln(r.log, "bench:", err)
			failed = errors.Join(failed, err)
		}
	}
	fmt.Fprintf(r.out, "medians of %d rounds; a line fails if new/old is worse than %g and than old/old, the quartiles of the old rounds against each other\n", r.count, tolerance)
	if n := printComparison(r.out, s); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%d figures are worse or allocate differently", n))
	}
	return failed
}

// both runs one function in all rounds. What only one tree has runs once, for the
// names of its figures.
func (r rounds) both(ctx context.Context, p pair, s sides) error {
	for round := range r.count {
		if round > 0 && (p.old == "" || p.new == "") {
			return nil
		}
		fmt.Fprintf(r.log, "%s, round %d of %d\n", p.function, round+1, r.count)
		for _, half := range []struct {
			tree, name, pkg string
			to              *results
		}{{r.old, "old", p.old, s.old}, {r.new, "new", p.new, s.new}} {
			if half.pkg == "" {
				continue
			}
			if err := r.once(ctx, half.tree, half.name, half.pkg, p, half.to); err != nil {
				return err
			}
		}
	}
	return nil
}

// once runs one function of a test binary in its package's folder.
func (r rounds) once(ctx context.Context, tree, name, pkg string, p pair, to *results) error {
	cmd := exec.CommandContext(ctx, r.binary(name, pkg), "-test.run=^$", "-test.bench=^Benchmark"+p.function+"$",
		"-test.benchtime="+r.benchtime, "-test.benchmem", "-test.timeout=10m")
	cmd.Dir = filepath.Join(tree, pkg)
	text, err := cmd.CombinedOutput()
	if err == nil {
		err = to.read(inPackage(cmp.Or(p.new, p.old), text))
	}
	if err != nil {
		return fmt.Errorf("%s of %s in the %s tree: %w\n%s", p.function, pkg, name, err, text)
	}
	return nil
}

// inPackage replaces the line that names the package, which may have moved.
func inPackage(pkg string, text []byte) io.Reader {
	var all bytes.Buffer
	fmt.Fprintf(&all, "pkg: example/monitor-srv/%s\n", pkg)
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("pkg: ")) {
			all.Write(line)
		}
	}
	return &all
}

func (r rounds) binary(name, pkg string) string {
	return filepath.Join(r.dir, name+"-"+strings.ReplaceAll(pkg, string(filepath.Separator), "-")+".test")
}

// build builds the test binaries of a tree and returns the packages of each
// function.
func (r rounds) build(ctx context.Context, tree, name string) (map[string][]string, error) {
	all, err := functions(tree)
	if err != nil {
		return nil, err
	}
	found, built := map[string][]string{}, map[string]bool{}
	for _, f := range all {
		if !r.bench.MatchString(f.name) || r.skip != nil && r.skip.MatchString(f.name) {
			continue
		}
		found[f.name] = append(found[f.name], f.pkg)
		if built[f.pkg] {
			continue
		}
		built[f.pkg] = true
		fmt.Fprintf(r.log, "building %s of the %s tree\n", f.pkg, name)
		binary, err := filepath.Abs(r.binary(name, f.pkg))
		if err != nil {
			return nil, err
		}
		// In its folder, because a package may belong to a module of its own.
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
		cmd.Dir = filepath.Join(tree, f.pkg)
		cmd.Env = append(os.Environ(), "GOWORK="+workspace(tree))
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s of the %s tree: %w\n%s", f.pkg, name, err, text)
		}
	}
	return found, nil
}

// workspace is the go.work of a tree. One without it must not get that of the tree
// around it.
func workspace(tree string) string {
	file, err := filepath.Abs(filepath.Join(tree, "go.work"))
	if err != nil {
		return "off"
	}
	if _, err := os.Stat(file); err != nil {
		return "off"
	}
	return file
}

// function is a benchmark and the folder of its package.
type function struct{ name, pkg string }

var declared = regexp.MustCompile(`(?m)^func Benchmark(\w+)\(`)

// functions finds the benchmarks of a tree in their order. Folders that go leaves
// out, bin and tools are left out.
func functions(tree string) (all []function, err error) {
	err = filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			out := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" || name == "tools"
			if path != tree && out {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(tree, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, match := range declared.FindAllSubmatch(text, -1) {
			all = append(all, function{string(match[1]), pkg})
		}
		return nil
	})
	return all, err
}
