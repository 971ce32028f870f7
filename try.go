package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	files "github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
)

// triesAtOnce bounds the monitors of a file that are tried at the same time: few
// enough that they do not slow one another.
const triesAtOnce = 8

// tried is one monitor's result as JSON.
type tried struct {
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`
	Value   *float64 `json:"value,omitempty"` // absent if the probe failed
	// Error says why the probe failed, Reason which threshold the value is beyond.
	Error   string             `json:"error,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Detail  string             `json:"detail,omitempty"`
	Filter  string             `json:"filter,omitempty"` // of which one run shows nothing
	Seconds float64            `json:"seconds"`
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds

	phases []string // for people, in order
}

func tryFile(c *cli.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := noLateFlags(c); err != nil {
		return err
	}
	if n := c.NArg(); n < 1 || n > 2 {
		return usageError{errors.New("give \"probe\" as in: monitor-srv probe FILE|DIR|- [NAME]")}
	}
	output := c.String(flagOutput)
	if output != "table" && output != "json" {
		return usageError{fmt.Errorf("--%s %q is not known: give one of table, json", flagOutput, output)}
	}
	file, name := c.Args().Get(0), c.Args().Get(1)
	f := &fleet{}
	group := idleGroup(f)
	var set monitor.Set
	problems := files.Load(&set, stdin, file)
	problems = append(problems, group.Apply(set, problems)...)
	wrong, err := tellProblems(problems, name, stderr)
	if err != nil {
		return err
	}
	chosen := choose(set.Monitors, name, wrong)
	where := placeOf(file)
	if len(chosen) == 0 {
		if output == "json" {
			if _, err := fmt.Fprintln(stdout, "[]"); err != nil {
				return err
			}
		}
		return nothingToTry(where, name, len(wrong))
	}
	if asksFleet(chosen) {
		if err := f.open(c); err != nil {
			return err
		}
		defer f.close()
	}
	failed, err := try(c.Context, group, chosen, output, stdout)
	switch {
	case err != nil:
		return err
	case failed > 0 && len(wrong) > 0:
		return fmt.Errorf("%s tried, %d failed; %s in %s", count(len(chosen), "monitor"), failed, count(len(wrong), "problem"), where)
	case failed > 0:
		return fmt.Errorf("%s tried, %d failed", count(len(chosen), "monitor"), failed)
	case len(wrong) > 0:
		return fmt.Errorf("%s in %s", count(len(wrong), "problem"), where)
	}
	return nil
}

// tellProblems prints problems, of one monitor only and of none if it is given a
// name, and returns those by which something does not run. A receiver that
// another file defines hinders no probe.
func tellProblems(problems []*document.Problem, name string, stderr io.Writer) (wrong []*document.Problem, err error) {
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

// choose returns the monitors to try: the one with the name, or all, but for
// those that something is wrong with.
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

func nothingToTry(where, name string, wrong int) error {
	switch {
	case wrong > 0:
		return fmt.Errorf("nothing is tried: %s in %s", count(wrong, "problem"), where)
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

// try runs monitors, some at a time, and prints what came of them in order.
func try(ctx context.Context, group *monitor.Group, chosen []*monitor.Definition, output string, stdout io.Writer) (failed int, err error) {
	results := make([]chan tried, len(chosen))
	places := make(chan struct{}, triesAtOnce)
	for i, d := range chosen {
		results[i] = make(chan tried, 1)
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			t, err := group.ProbeOnce(ctx, d)
			results[i] <- triedOf(d.Name, t, err)
		}()
	}
	all := make([]tried, 0, len(chosen))
	for _, r := range results {
		t := <-r
		if t.Verdict == monitor.Failing.String() {
			failed++
		}
		all = append(all, t)
		if output == "table" {
			if _, err := io.WriteString(stdout, t.table()); err != nil {
				return failed, err
			}
		}
	}
	if output == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return failed, enc.Encode(all)
	}
	return failed, ctx.Err()
}

func triedOf(name string, trial monitor.SingleResult, err error) tried {
	if err != nil { // it was good a moment ago: a file it names has changed
		return tried{Name: name, Verdict: monitor.Failing.String(), Error: err.Error()}
	}
	t := tried{
		Name: name, Verdict: trial.State.String(), Reason: trial.Violation, Detail: trial.Detail, Filter: trial.Filter,
		Seconds: trial.Took.Seconds(),
	}
	if trial.Err != nil {
		t.Error = trial.Err.Error()
	} else {
		t.Value = &trial.Value
	}
	for _, p := range trial.Phases {
		if t.Phases == nil {
			t.Phases = make(map[string]float64)
		}
		t.Phases[p.Name] = p.Duration.Seconds()
		t.phases = append(t.phases, fmt.Sprintf("%s %v", strings.ReplaceAll(p.Name, "_", " "), short(p.Duration)))
	}
	return t
}

// table returns the lines for people: the verdict, and below it why.
func (t tried) table() string {
	value := "-"
	if t.Value != nil {
		value = fmt.Sprint(*t.Value)
	}
	var b strings.Builder
	took := short(time.Duration(t.Seconds * float64(time.Second)))
	fmt.Fprintf(&b, "%-8s %-32s value %-12s in %v\n", t.Verdict, t.Name, value, took)
	note := ""
	if t.Filter != "" {
		note = "filter " + t.Filter + ": one run does not show what it makes of several values"
	}
	for _, line := range []string{t.Error, t.Reason, t.Detail, strings.Join(t.phases, ", "), note} {
		if line != "" {
			fmt.Fprintf(&b, "         %s\n", line)
		}
	}
	return b.String()
}

// short drops the digits of a duration that nobody reads.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
