// Command bench reads what go test -bench printed, holds it against what the
// project promises, and writes both as a page:
//
//	bench -o docs/benchmarks.md bin/bench.txt bin/peers.txt
//
// A benchmark that ran several times counts by its median. The last file may be
// missing, then its rows say so. A figure that a benchmark no longer reports is
// an error; one that misses its target is not, but the page says so.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
)

func main() {
	out := flag.String("o", "", "write the page to this `file` too")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out string, files []string) error {
	if len(files) == 0 {
		return errors.New("give the files that hold what go test -bench printed")
	}
	r := newResults()
	for i, name := range files {
		f, err := os.Open(name)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = r.read(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	rows, missing := evaluate(targets(), r)
	printRows(os.Stdout, rows)
	if out != "" {
		if err := writePage(out, r, rows); err != nil {
			return err
		}
	}
	return missing
}
