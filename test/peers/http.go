package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// The HTTP monitors of the comparison: how many, at what intervals, and how long
// each program is watched after it has had time to start them all.
const (
	httpMonitors = 1000
	watchTime    = 15 * time.Second
	warmUp       = 7 * time.Second
	gatusStep    = 222 * time.Millisecond // between the starts of two endpoints
)

var httpIntervals = []time.Duration{time.Second, 5 * time.Second}

func rateName(interval time.Duration) string {
	return fmt.Sprintf("HTTP/%d", int(httpMonitors/interval.Seconds()))
}

// gatusPair is one Gatus for each interval. Both start at the same time, because
// that takes minutes.
type gatusPair struct {
	begin time.Time
	of    []*process
}

func gatusFleet(i int) fleet {
	return fleet{program: fmt.Sprint("gatus", i), monitors: httpMonitors, interval: httpIntervals[i]}
}

func (b *bench) startGatusPair() (*gatusPair, error) {
	pair := &gatusPair{begin: time.Now()}
	for i := range httpIntervals {
		p, err := b.startGatus(gatusFleet(i))
		if err != nil {
			return nil, err
		}
		pair.of = append(pair.of, p)
	}
	return pair, nil
}

// http watches 1,000 HTTP monitors of each program, and 10,000 of ours. It goes on with
// the others when one fails.
func (b *bench) http(ctx context.Context, pair *gatusPair) error {
	failed := b.watchGatus(ctx, pair)
	for _, interval := range httpIntervals {
		for _, s := range []struct {
			program string
			start   func(context.Context, fleet) (*process, error)
		}{{"ours", b.startOurs}, {"goma", b.startGoma}} {
			f := fleet{program: s.program, monitors: httpMonitors, interval: interval}
			p, err := s.start(ctx, f)
			if err == nil {
				err = b.settled(ctx, p, f, s.program)
			}
			failed = errors.Join(failed, err)
		}
		failed = errors.Join(failed, b.blackboxExporter(ctx, interval))
	}
	return errors.Join(failed, b.manyHTTP(ctx))
}

// manyHTTP watches 10,000 monitors, which probe once in 10 s each.
func (b *bench) manyHTTP(ctx context.Context) error {
	f := fleet{program: "many", monitors: 10 * httpMonitors, interval: 10 * time.Second}
	p, err := b.startOurs(ctx, f)
	if err != nil {
		return err
	}
	defer p.stop()
	w, err := b.begun(ctx, p, f)
	if err != nil {
		return err
	}
	report("HTTPMany/1000-a-second", len(w.starts), w.figures(f.interval)...)
	return nil
}

// settled watches a program that has just started, and ends it.
func (b *bench) settled(ctx context.Context, p *process, f fleet, name string) error {
	defer p.stop()
	return b.seen(ctx, p, f, name)
}

// seen watches a program that has just started.
func (b *bench) seen(ctx context.Context, p *process, f fleet, name string) error {
	if err := p.sleep(ctx, warmUp); err != nil {
		return err
	}
	w, err := b.watch(ctx, p, f, watchTime)
	if err != nil {
		return err
	}
	own := f.interval
	if f.program == "blackbox" {
		own = 0
	}
	report(rateName(f.interval)+"/"+name, len(w.starts), w.figures(own)...)
	return nil
}

// watchGatus waits until both have started all endpoints, and watches one while
// the other is stopped.
func (b *bench) watchGatus(ctx context.Context, pair *gatusPair) error {
	defer func() { // after a failure they must not disturb the others
		for _, p := range pair.of {
			p.stop()
		}
	}()
	ready := time.Until(pair.begin.Add(httpMonitors*gatusStep + 5*time.Second))
	if err := pair.of[0].sleep(ctx, ready); err != nil {
		return err
	}
	for _, p := range pair.of[1:] {
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
	}
	for i, p := range pair.of {
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		if err := b.settled(ctx, p, gatusFleet(i), "gatus"); err != nil {
			return err
		}
	}
	return nil
}

// blackboxExporter is asked for the same probes at the same rate, evenly spread.
// It makes no probes of its own accord, so their times are ours.
func (b *bench) blackboxExporter(ctx context.Context, interval time.Duration) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "blackbox.yml")
	text := "modules:\n  http_2xx:\n    prober: http\n    http:\n      preferred_ip_protocol: ip4\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	p, err := b.start("blackbox", nil, b.blackbox, "--config.file="+file, "--web.listen-address=127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer p.stop()
	base := "http://127.0.0.1:" + port
	if err := p.answers(ctx, base+"/-/healthy"); err != nil {
		return err
	}
	driven, end := context.WithCancel(ctx)
	defer end()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = b.scrape(driven, base, interval/httpMonitors) })
	err = b.seen(ctx, p, fleet{program: "blackbox", monitors: httpMonitors, interval: interval}, "blackbox_exporter")
	end()
	wg.Wait()
	return errors.Join(err, failed)
}

// scrape asks for one probe after the other, each so long after the last.
func (b *bench) scrape(ctx context.Context, base string, step time.Duration) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	next := make(chan int, 100)
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range next {
				target := b.target.url + path("blackbox", i%httpMonitors)
				rsp, err := client.Get(base + "/probe?module=http_2xx&target=" + url.QueryEscape(target))
				if err == nil {
					_, err = io.Copy(io.Discard, rsp.Body)
					_ = rsp.Body.Close()
				}
				if err != nil && ctx.Err() == nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	begin := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * step)))
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("ask blackbox_exporter: %w", err)
	default:
		return nil
	}
}
