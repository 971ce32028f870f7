package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	programs "github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/service"
	"github.com/microhq/monitor-srv/text"
)

// probesAtOnce bounds the monitors of a file that are probed at the same time: few
// enough that they do not slow one another.
const probesAtOnce = 8

// runProbe runs the monitors of a file, or the one that is named, once and prints the
// results. It fails if one fails, and with --strict if one is a WARNING.
func runProbe(ctx context.Context, inv *invocation) error {
	var name string
	if len(inv.words) > 1 {
		name = text.ComposeName(inv.words[1])
	}
	var remote discovery.Remote
	env := fleetEnv(&remote)
	env.Guardian = programs.NewReexecGuardian(slog.New(slog.NewTextHandler(inv.Stderr, nil)))
	group := service.NewIdleGroup(env)
	var set monitor.Set
	problems, err := config.Load(ctx, &set, inv.Stdin, inv.word())
	if err != nil {
		return err
	}
	problems = append(problems, group.Apply(ctx, set, problems)...)
	wrong, err := printProblems(problems, name, inv.Stderr)
	if err != nil {
		return err
	}
	chosen := choose(set.Monitors, name, wrong)
	where := placeOf(inv.word())
	if len(chosen) == 0 {
		if inv.asJSON() {
			if err := inv.say("[]"); err != nil {
				return err
			}
		}
		return nothingProbed(where, name, len(wrong))
	}
	if asksFleet(chosen) {
		closeRemote, err := openRemote(ctx, &remote, inv.options.config)
		if err != nil {
			return err
		}
		defer closeRemote()
	}
	stopGuardian := keepRunning(context.WithoutCancel(ctx), env.Guardian.Run)
	verdicts, err := probeAll(ctx, group, chosen, inv.printer())
	stopGuardian()
	if err != nil {
		return err
	}
	err = outcome(len(chosen), verdicts[monitor.Failing.String()], len(wrong), where)
	warnings := verdicts[monitor.Warning.String()]
	if err == nil && inv.options.strict && warnings > 0 {
		err = fmt.Errorf("%s probed, %s, and --%s", text.Count(len(chosen), "monitor"), text.Count(warnings, "warning"), flagStrict)
	}
	return err
}

// outcome is the error of a run in which monitors failed or were wrong.
func outcome(probed, failed, wrong int, where string) error {
	switch {
	case failed > 0 && wrong > 0:
		return fmt.Errorf("%s probed, %d failed; %s in %s", text.Count(probed, "monitor"), failed, text.Count(wrong, "problem"), where)
	case failed > 0:
		return fmt.Errorf("%s probed, %d failed", text.Count(probed, "monitor"), failed)
	case wrong > 0:
		return fmt.Errorf("%s in %s", text.Count(wrong, "problem"), where)
	}
	return nil
}

// openRemote gives a remote the registry that flags name, until the returned function
// is called.
func openRemote(ctx context.Context, remote *discovery.Remote, cfg service.Config) (closeRemote func(), err error) {
	if err := errors.Join(cfg.Registry.Check(), cfg.Client.Check()); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	service.QuietLibraries(log)
	registry, err := service.NewRegistry(cfg.Registry, 0, log)
	if err != nil {
		return nil, err
	}
	remote.Open(discovery.RemoteConfig{
		Registry: registry, Client: service.NewClient(registry, cfg.Client.Retries, log), Instance: cfg.Server.Name,
		Settings: "--" + flagRegistry + " and --" + flagRegistryAddress,
	})
	return keepRunning(ctx, registry.Run), nil
}

// keepRunning runs something until the returned function is called.
func keepRunning(ctx context.Context, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = run(ctx) })
	return func() { cancel(); running.Wait() }
}

// printProblems prints problems, of one monitor only and of none if it is given a
// name, and returns those by which something does not run. A receiver that another
// file defines hinders no probe.
func printProblems(problems []*document.Problem, name string, stderr io.Writer) (wrong []*document.Problem, err error) {
	document.SortProblems(problems)
	for _, p := range problems {
		if name != "" && p.Monitor != "" && p.Monitor != name {
			continue
		}
		var unknown *monitor.UnknownReceiverError
		if errors.As(p.Err, &unknown) {
			p.Warning = true
		}
		if !p.Warning {
			wrong = append(wrong, p)
		}
		if _, err := fmt.Fprintln(stderr, p); err != nil {
			return nil, err
		}
	}
	return wrong, nil
}

// choose returns the monitors to probe: the one with the name, or all, but for those
// that something is wrong with.
func choose(all []*monitor.Definition, name string, wrong []*document.Problem) []*monitor.Definition {
	bad := make(map[string]bool)
	for _, p := range wrong {
		bad[p.Monitor] = true
	}
	var chosen []*monitor.Definition
	for _, d := range all {
		if (name == "" || d.Name == name) && !bad[d.Name] {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

func nothingProbed(where, name string, wrong int) error {
	switch {
	case wrong > 0:
		return fmt.Errorf("nothing is probed: %s in %s", text.Count(wrong, "problem"), where)
	case name != "":
		return fmt.Errorf("%s defines no monitor %q", where, name)
	}
	return fmt.Errorf("%s defines no monitor", where)
}

// asksFleet tells whether one of the probes asks others than its target.
func asksFleet(chosen []*monitor.Definition) bool {
	for _, d := range chosen {
		switch d.Registration().Probe {
		case "rpc", "event", "stats":
			return true
		}
	}
	return false
}

// probeAll probes monitors, some at a time, prints their results in order and counts
// them by verdict.
func probeAll(ctx context.Context, group *monitor.Group, chosen []*monitor.Definition, p printer) (verdicts map[string]int, err error) {
	verdicts = make(map[string]int)
	results := make([]chan result, len(chosen))
	slots := make(chan struct{}, probesAtOnce)
	for i, d := range chosen {
		results[i] = make(chan result, 1)
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			single, err := group.ProbeOnce(ctx, d)
			results[i] <- resultOf(d.Name, single, err)
		}()
	}
	for _, next := range results {
		r := <-next
		verdicts[r.Verdict]++
		if err := p.print(r); err != nil {
			return nil, err
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return verdicts, ctx.Err()
}
