package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// writePage writes the table, what the peers did, and every figure.
func writePage(file string, r *results, rows []row) error {
	var page bytes.Buffer
	page.WriteString("# Benchmarks\n\n")
	page.WriteString("Written by `make bench` and `make bench-peers`; do not edit. What is promised stands in the column *wanted*; what misses it says so.\n\n")
	fmt.Fprintf(&page, "%s\n\n", machine())
	for _, note := range r.notes {
		fmt.Fprintf(&page, "%s\n", note)
	}
	page.WriteString("\n")
	page.WriteString(`How to read it: the machine is shared, and identical code varies by half and more from run to run, so a figure is only a hint and a ratio below 1.5 says nothing. CPU-ns and CPU-s are the time that the process had on all cores, which suffers less from the neighbours than the clock does. A baseline is of the same run. What ran several times is given by its median.

The path of 2016 is re-enacted by a stand-in that does with an event what the aggregator of 2016 did: decode it, and search a list by check id for the node. "Scan and raw upsert" is the least that one could do: find the key, and put the bytes in a map, without validation, judgement, order, expiry or history.

## What was promised

`)
	printRows(&page, rows)
	page.WriteString(notes)
	page.WriteString(peersText)
	sections(&page, r)
	page.WriteString("\n## Every figure\n\n```\n")
	for _, name := range r.names {
		page.WriteString(name)
		for _, unit := range r.units[name] {
			v, err := r.median(name, unit)
			if err != nil {
				return err
			}
			fmt.Fprintf(&page, "  %s %s", short(v), unit)
		}
		page.WriteString("\n")
	}
	page.WriteString("```\n")
	return os.WriteFile(file, page.Bytes(), 0o644)
}

// sections are the tables of the side by side run and of the footprint.
func sections(page *bytes.Buffer, r *results) {
	if !r.ranPeers() {
		page.WriteString("\nNot run yet: `make bench-peers` does it.\n")
		return
	}
	for _, s := range []struct{ title, prefix string }{
		{"1,000 HTTP monitors (probes a second, program)", peers + "HTTP/"},
		{"10,000 HTTP monitors of ours (rate)", peers + "HTTPMany/"},
		{"From failure to first attempt, 200 monitors, interval 10 s", peers + "Detection/"},
		{"TCP monitors of ours (number, rate)", peers + "TCP/"},
		{"The service itself (broker, checks held)", peers + "Footprint/"},
	} {
		fmt.Fprintf(page, "\n### %s\n\n", s.title)
		var header []string
		for _, name := range r.names {
			run, ok := strings.CutPrefix(name, s.prefix)
			if !ok {
				continue
			}
			if header == nil {
				header = r.units[name]
				fmt.Fprintf(page, "| | %s |\n|---|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
			}
			fmt.Fprintf(page, "| %s |", run)
			for _, unit := range header {
				cell := "–"
				if v, err := r.median(name, unit); err == nil {
					cell = short(v)
				}
				fmt.Fprintf(page, " %s |", cell)
			}
			page.WriteString("\n")
		}
	}
}

// machine describes where and when this runs.
func machine() string {
	load, _ := os.ReadFile("/proc/loadavg")
	model := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimLeft(line, "\t :")
		}
	}
	average := strings.Join(append(strings.Fields(string(load)), "?", "?", "?")[:3], ", ")
	return fmt.Sprintf("%s, %d cores, %s/%s, %s. Written %s, load average then %s.",
		model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 UTC"), average)
}
