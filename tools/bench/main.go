// Command bench reads what go test -bench printed, holds it against what the
// project promises, and writes both as a page:
//
//	bench -o docs/benchmarks.md bin/bench.txt bin/peers.txt
//
// A benchmark that ran several times counts by its median. A file may be missing,
// then its rows say so. A figure that a benchmark no longer reports is an error;
// one that misses its target is not, but the page says so.
//
// It also compares the benchmarks of two trees, and fails if one is worse:
//
//	bench compare -rounds 10 bin/compare-old .
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	if len(args) > 0 && args[0] == "compare" {
		return mainCompare(args[1:])
	}
	out := flag.String("o", "", "write the page to this `file` too")
	flag.Parse()
	return run(*out, flag.Args())
}

func run(out string, files []string) error {
	r := newResults()
	read := 0
	for _, name := range files {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = r.read(f)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		read++
	}
	if read == 0 {
		return errors.New("give at least one file that holds what go test -bench printed")
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
