package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/discovery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service"
)

// runCheck prints every problem of files and directories. It fails if one is more than a
// warning, or with --strict if there is any.
func runCheck(_ context.Context, inv *invocation) error {
	paths := inv.words
	var set monitor.Set
	problems := config.Load(&set, inv.Stdin, paths...)
	problems = append(problems, service.NewIdleGroup(fleetEnv(&discovery.Remote{})).Apply(set, problems)...)
	document.SortProblems(problems)
	wrong := 0
	for _, p := range problems {
		if !p.Warning {
			wrong++
		}
		if err := inv.say(p); err != nil {
			return err
		}
	}
	var places []string
	for _, path := range paths {
		places = append(places, placeOf(path))
	}
	where := strings.Join(places, ", ")
	switch warnings := len(problems) - wrong; {
	case wrong > 0:
		return fmt.Errorf("%s in %s", count(wrong, "problem"), where)
	case len(set.Monitors)+len(set.Receivers) == 0 && warnings == 0:
		return fmt.Errorf("no monitor and no receiver in %s: files of a directory are named *.toml", where)
	case inv.options.strict && warnings > 0:
		return fmt.Errorf("%s in %s, and --%s", count(warnings, "warning"), where, flagStrict)
	}
	return inv.say(count(len(set.Monitors), "monitor"), "and", count(len(set.Receivers), "receiver")+": fine")
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

// count says how many there are of what a word names.
func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
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
