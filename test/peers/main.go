// Command peers runs monitor-srv and its peers side by side against one target
// on this machine, and prints what each used and did as lines of go test -bench,
// which tools/bench makes a table of.
//
// What a program used is the CPU time of its own process, read from /proc; what
// it did is what the target saw. All talk over the loopback interface. It takes
// about 9 minutes, of which Gatus needs 4 to start 1,000 endpoints. What fails does not
// keep the rest from being measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	bin       string // the folder of the programs built here
	blackbox  string
	consul    string
	dir       string // for configurations and logs
	rpc       string // where the service that was last started answers
	target    *target
	processes []*process
}

func main() {
	bin := flag.String("bin", "bin", "the `folder` that holds monitor-srv, goma and gatus")
	consul := flag.String("consul", "bin/consul", "Consul's `command`")
	blackbox := flag.String("blackbox", "prometheus-blackbox-exporter", "the `command` of blackbox_exporter")
	only := flag.String("only", "", "run only this `part`: detection, footprint, http or tcp")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, &bench{bin: *bin, blackbox: *blackbox, consul: *consul}, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, only string) (err error) {
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if strings.Contains(b.consul, "/") { // it is started in another folder
		if b.consul, err = filepath.Abs(b.consul); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "peers-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.target, err = newTarget(); err != nil {
		return err
	}
	defer b.target.close()
	defer b.stopAll()

	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	averages, _, _ := strings.Cut(string(load), "/")
	fmt.Printf("# The side by side run began at %s, load average %s.\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), averages[:strings.LastIndex(averages, " ")])
	fmt.Println("pkg: github.com/microhq/monitor-srv/test/peers")
	want := func(part string) bool { return only == "" || only == part }
	var slow *gatusPair
	if want("http") { // it starts an endpoint each 222 ms; the other parts run meanwhile
		if slow, err = b.startGatusPair(); err != nil {
			return err
		}
	}
	var failed error
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"detection", b.detection},
		{"footprint", b.footprint},
		{"http", func(ctx context.Context) error { return b.http(ctx, slow) }},
		{"tcp", b.tcp},
	} {
		if !want(part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", part.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// figure is a measured value with its unit.
type figure struct {
	value float64
	unit  string
}

// report writes a line as go test -bench does.
func report(name string, n int, figures ...figure) {
	fmt.Printf("Benchmark%s\t%d", name, n)
	for _, f := range figures {
		fmt.Printf("\t%.4g %s", f.value, f.unit)
	}
	fmt.Println()
}
