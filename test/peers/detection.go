package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// The monitors of the detection: each is made to fail at a moment of its own
// within one interval.
const (
	detected          = 200
	detectionInterval = 10 * time.Second
	detectionWait     = 35 * time.Second // Gatus' default takes three intervals
)

// detection measures the time from the failure of a target to the first attempt
// to tell somebody, of all programs at the same time.
func (b *bench) detection(ctx context.Context) error {
	of := func(program, keys string) fleet {
		return fleet{program: program, monitors: detected, interval: detectionInterval, keys: keys, alert: true}
	}
	ours, err := b.startOurs(ctx, of("ours", "failures_before_alert = 3\nretry_interval = 1\n"))
	if err != nil {
		return err
	}
	defer ours.stop()
	goma, err := b.startGoma(ctx, of("goma", ""))
	if err != nil {
		return err
	}
	defer goma.stop()
	gatus, err := b.startGatus(of("gatus", ""))
	if err != nil {
		return err
	}
	defer gatus.stop()
	// Gatus needs the longest to start them all.
	if err := gatus.sleep(ctx, detected*gatusStep+3*time.Second); err != nil {
		return err
	}
	moments := rand.Perm(detected)
	begin := time.Now()
	var late time.Duration
	for k, i := range moments {
		moment := begin.Add(detectionInterval * time.Duration(k) / detected)
		if err := ours.sleep(ctx, time.Until(moment)); err != nil {
			return err
		}
		late = max(late, time.Since(moment))
		for _, program := range []string{"ours", "goma", "gatus"} {
			b.target.fail(path(program, i))
		}
	}
	if late > 500*time.Millisecond {
		fmt.Printf("# The machine stood still for %v during the detection: do not trust it.\n", late.Round(time.Millisecond))
	}
	if err := ours.sleep(ctx, detectionWait); err != nil {
		return err
	}
	for _, program := range []string{"ours", "goma", "gatus"} {
		b.target.take(program)
		delays := b.target.delays(program, detected)
		if len(delays) < detected {
			fmt.Printf("# of %d alerts of %s %d came\n", detected, program, len(delays))
		}
		report("Detection/"+program, len(delays),
			figure{quantile(delays, 0.5).Seconds(), "s-median"},
			figure{quantile(delays, 0).Seconds(), "s-least"},
			figure{quantile(delays, 1).Seconds(), "s-most"})
	}
	return nil
}
