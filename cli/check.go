package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// checked is the result of a check of files.
type checked struct {
	Monitors  int       `json:"monitors"`
	Receivers int       `json:"receivers"`
	Problems  []problem `json:"problems"`
}

// problem is one problem of a file.
type problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`    // absent if it is not known
	Monitor string `json:"monitor,omitempty"` // absent if it is about none
	Warning bool   `json:"warning"`           // what is defined is used all the same
	Error   string `json:"error"`
}

// runCheck prints every problem of files and directories. It fails if one is more than a
// warning, or with --strict if there is any. With --no_secrets, secrets may be absent.
func runCheck(ctx context.Context, inv *invocation) error {
	var set monitor.Set
	problems, err := config.Load(ctx, &set, inv.Stdin, inv.words...)
	if err != nil {
		return err
	}
	problems = append(problems, service.NewIdleGroup(fleetEnv(&discovery.Remote{})).Apply(ctx, set, problems)...)
	document.SortProblems(problems)
	if inv.options.noSecrets {
		problems = slices.DeleteFunc(problems, func(p *document.Problem) bool { return errors.Is(p.Err, setting.ErrAbsent) })
	}
	wrong := 0
	report := checked{Monitors: len(set.Monitors), Receivers: len(set.Receivers), Problems: []problem{}}
	var table strings.Builder
	for _, p := range problems {
		if !p.Warning {
			wrong++
		}
		fmt.Fprintln(&table, p)
		report.Problems = append(report.Problems, problem{p.File, p.Line, p.Monitor, p.Warning, p.Err.Error()})
	}
	failure := failureOf(inv, report, wrong)
	if failure == nil {
		fmt.Fprintf(&table, "%s and %s: fine\n", text.Count(report.Monitors, "monitor"), text.Count(report.Receivers, "receiver"))
	}
	if err := inv.answer(table.String(), report); err != nil {
		return err
	}
	return failure
}

// failureOf says why the command fails, if it does.
func failureOf(inv *invocation, report checked, wrong int) error {
	var places []string
	for _, path := range inv.words {
		places = append(places, placeOf(path))
	}
	where := strings.Join(places, ", ")
	switch warnings := len(report.Problems) - wrong; {
	case wrong == 1 && len(report.Problems) == 1:
		return errTold // its line names the place
	case wrong > 0:
		return fmt.Errorf("%s in %s", text.Count(wrong, "problem"), where)
	case report.Monitors+report.Receivers == 0 && warnings == 0:
		return fmt.Errorf("no monitor and no receiver in %s: files of a directory are named *.toml", where)
	case inv.options.strict && warnings > 0:
		return fmt.Errorf("%s in %s, and --%s", text.Count(warnings, "warning"), where, flagStrict)
	}
	return nil
}

// fleetEnv lets probes ask a remote about the fleet.
func fleetEnv(remote *discovery.Remote) probe.Env {
	return probe.Env{Caller: remote, Events: remote, Stats: remote}
}

// placeOf names a file or directory of the command line.
func placeOf(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// errorOf joins all problems that are more than warnings.
func errorOf(problems []*document.Problem) error {
	document.SortProblems(problems)
	var errs []error
	for _, p := range problems {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}
