package main

import (
	"context"
	"fmt"
	"time"
)

// tcp watches fleets of TCP monitors of ours from 100 to 10,000, each against an
// address of its own. Those of one rate can be compared: what a probe costs falls
// with the rate, because each wake-up of the process then serves more of them.
func (b *bench) tcp(ctx context.Context) error {
	for _, f := range []fleet{
		{monitors: 100, interval: time.Second},
		{monitors: 1000, interval: 10 * time.Second},
		{monitors: 1000, interval: time.Second},
		{monitors: 10000, interval: 10 * time.Second},
	} {
		f.program, f.tcp = "tcp", true
		p, err := b.startOurs(ctx, f)
		if err != nil {
			return err
		}
		w, err := b.begun(ctx, p, f)
		p.stop()
		if err != nil {
			return err
		}
		rate := float64(f.monitors) / f.interval.Seconds()
		report(fmt.Sprintf("TCP/%d/%g-a-second", f.monitors, rate), len(w.starts), w.figures(f.interval)...)
	}
	return nil
}

// begun watches a fleet of ours once all its monitors have begun.
func (b *bench) begun(ctx context.Context, p *process, f fleet) (watched, error) {
	if err := p.sleep(ctx, f.interval+2*time.Second); err != nil {
		return watched{}, err
	}
	return b.watch(ctx, p, f, max(watchTime, 3*f.interval))
}
