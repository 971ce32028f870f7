package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
)

const flagOutput = "output"

// fileCommands work on files, without a running instance.
func fileCommands(stdout io.Writer) []*cli.Command {
	return []*cli.Command{
		{
			Name: "check", ArgsUsage: "DIR|FILE...", Usage: "say what is wrong with files of monitors; fails if something is",
			OnUsageError: onUsageError,
			Action: func(c *cli.Context) error {
				if c.NArg() == 0 {
					return usageError{errors.New("give \"check\" as in: monitor-srv check DIR|FILE")}
				}
				return checkFiles(c.Args().Slice(), stdout)
			},
		},
		{
			Name: "probe", ArgsUsage: "FILE [NAME]", Usage: "run the monitors of a file once and print what came of it; fails if one does",
			OnUsageError: onUsageError,
			Action:       func(c *cli.Context) error { return tryFile(c, stdout) },
		},
	}
}

// idleGroup is a group that never runs: it only builds what it is given.
func idleGroup() *monitor.Group {
	return monitor.NewGroup(monitor.Config{
		Probes: probe.Builtin(), Actions: action.Builtin(),
		Deliverer: action.NewDeliverer(action.Options{}),
		Recorder:  nobody{},
		Log:       slog.New(slog.DiscardHandler),
		ProbeEnv:  probe.Env{Caller: absent{}, Events: absent{}, Stats: absent{}},
	})
}

// absent stands for the instance that some kinds of probe ask.
type absent struct{}

var (
	_ probe.Caller      = absent{}
	_ probe.EventSource = absent{}
	_ probe.StatsSource = absent{}

	errAbsent = errors.New("this kind of probe needs a running instance, which hears events and knows the registry: give the file to one")
)

// Nodes implements probe.Caller.
func (absent) Nodes(context.Context, string) ([]probe.Node, error) { return nil, errAbsent }

// Call implements probe.Caller.
func (absent) Call(context.Context, probe.Call) (json.RawMessage, error) { return nil, errAbsent }

// Checks implements probe.EventSource.
func (absent) Checks(context.Context, string, string, string) ([]probe.Check, error) {
	return nil, errAbsent
}

// Stats implements probe.StatsSource.
func (absent) Stats(context.Context, string) ([]probe.NodeStats, error) { return nil, errAbsent }

type nobody struct{}

func (nobody) Record(monitor.Result) {}

// checkFiles prints every problem of files and directories.
func checkFiles(paths []string, stdout io.Writer) error {
	set, problems := monitor.Load(paths...)
	problems = append(problems, idleGroup().Apply(set, problems)...)
	monitor.SortProblems(problems)
	errs := 0
	for _, p := range problems {
		if !p.Warning {
			errs++
		}
		if _, err := fmt.Fprintln(stdout, p); err != nil {
			return err
		}
	}
	if errs > 0 {
		return fmt.Errorf("%s in %s", count(errs, "problem"), strings.Join(paths, ", "))
	}
	_, err := fmt.Fprintf(stdout, "%s and %s: fine\n", count(len(set.Monitors), "monitor"), count(len(set.Receivers), "receiver"))
	return err
}

// count says how many there are of what a word names.
func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// tried is one monitor's result as JSON.
type tried struct {
	Name    string             `json:"name"`
	Verdict string             `json:"verdict"`
	Value   *float64           `json:"value,omitempty"` // absent if the probe failed
	Error   string             `json:"error,omitempty"`
	Detail  string             `json:"detail,omitempty"`
	Seconds float64            `json:"seconds"`
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds
}

func tryFile(c *cli.Context, stdout io.Writer) error {
	if n := c.NArg(); n < 1 || n > 2 {
		return usageError{errors.New("give \"probe\" as in: monitor-srv probe FILE [NAME]")}
	}
	output := c.String(flagOutput)
	if output != "table" && output != "json" {
		return usageError{fmt.Errorf("--%s %q is not known: give one of table, json", flagOutput, output)}
	}
	file, name := c.Args().Get(0), c.Args().Get(1)
	set, problems := monitor.Load(file)
	group := idleGroup()
	problems = append(problems, group.Apply(set, problems)...)
	if err := errorOf(problems); err != nil {
		return err
	}
	var results []tried
	failed := 0
	for _, d := range set.Monitors {
		if name != "" && d.Name != name {
			continue
		}
		res, err := group.Try(c.Context, d)
		if err != nil {
			return fmt.Errorf("monitor %q: %w", d.Name, err)
		}
		if res.State == monitor.Failing {
			failed++
		}
		results = append(results, triedOf(res))
	}
	if len(results) == 0 {
		return fmt.Errorf("%s defines no monitor %q", file, name)
	}
	if err := printTried(results, output, stdout); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d monitors fail", failed, len(results))
	}
	return nil
}

// errorOf joins all problems that are more than warnings.
func errorOf(problems []*monitor.Problem) error {
	monitor.SortProblems(problems)
	var errs []error
	for _, p := range problems {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

func triedOf(res monitor.Result) tried {
	t := tried{Name: res.Name, Verdict: res.State.String(), Detail: res.Detail, Seconds: res.Took.Seconds()}
	if res.Err != nil {
		t.Error = res.Err.Error()
	} else {
		t.Value, t.Error = &res.Value, res.Wrong
	}
	for _, p := range res.Phases {
		if t.Phases == nil {
			t.Phases = make(map[string]float64)
		}
		t.Phases[p.Name] = p.Duration.Seconds()
	}
	return t
}

func printTried(results []tried, output string, stdout io.Writer) error {
	if output == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(results)
	}
	for _, t := range results {
		value := "-"
		if t.Value != nil {
			value = fmt.Sprint(*t.Value)
		}
		took := time.Duration(t.Seconds * float64(time.Second)).Round(10 * time.Microsecond)
		if _, err := fmt.Fprintf(stdout, "%-8s %-32s value %-12s in %v\n", t.Verdict, t.Name, value, took); err != nil {
			return err
		}
		for _, line := range []string{t.Error, t.Detail} {
			if line != "" {
				fmt.Fprintf(stdout, "         %s\n", line)
			}
		}
	}
	return nil
}
