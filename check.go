package main

import (
	files "github.com/microhq/monitor-srv/config"

	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/service/receivers"
)

const flagOutput = "output"

// fileCommands work on files, without running them.
func fileCommands(stdin io.Reader, stdout, stderr io.Writer) []*cli.Command {
	return []*cli.Command{
		{
			Name: "check", ArgsUsage: "DIR|FILE|-...", Usage: "say what is wrong with files of monitors; fails if something is",
			OnUsageError: onUsageError,
			Action: func(c *cli.Context) error {
				if err := noLateFlags(c); err != nil {
					return err
				}
				if c.NArg() == 0 {
					return usageError{errors.New("give \"check\" as in: monitor-srv check DIR|FILE|-")}
				}
				return checkFiles(stdin, stdout, c.Bool(flagStrict), c.Args().Slice()...)
			},
		},
		{
			Name: "probe", ArgsUsage: "FILE|DIR|- [NAME]", Usage: "run the monitors of a file once, or one of them, and print what came of it; fails if one does",
			OnUsageError: onUsageError,
			Action:       func(c *cli.Context) error { return tryFile(c, stdin, stdout, stderr) },
		},
	}
}

// idleGroup is a group that never runs: it builds what it is given, with probes
// that see the fleet.
func idleGroup(f *fleet) *monitor.Group {
	return monitor.NewGroup(monitor.Config{
		Probes: probe.Builtin(), Delivery: receivers.New(delivery.NewDeliverer(delivery.Options{}), action.Builtin(), action.Env{}),
		Recorder: nobody{},
		Log:      slog.New(slog.DiscardHandler),
		ProbeEnv: probe.Env{Caller: f, Events: f, Stats: f},
	})
}

type nobody struct{}

func (nobody) Record(monitor.Result) {}

// checkFiles prints every problem of files and directories. It fails if one is
// more than a warning, or if there is any and it is to be strict.
func checkFiles(stdin io.Reader, stdout io.Writer, strict bool, paths ...string) error {
	var set monitor.Set
	problems := files.Load(&set, stdin, paths...)
	problems = append(problems, idleGroup(&fleet{}).Apply(set, problems)...)
	document.SortProblems(problems)
	errs := 0
	for _, p := range problems {
		if !p.Warning {
			errs++
		}
		if _, err := fmt.Fprintln(stdout, p); err != nil {
			return err
		}
	}
	var places []string
	for _, path := range paths {
		places = append(places, placeOf(path))
	}
	where := strings.Join(places, ", ")
	switch warnings := len(problems) - errs; {
	case errs > 0:
		return fmt.Errorf("%s in %s", count(errs, "problem"), where)
	case len(set.Monitors)+len(set.Receivers) == 0 && warnings == 0:
		return fmt.Errorf("no monitor and no receiver in %s: files of a directory are named *.toml", where)
	case strict && warnings > 0:
		return fmt.Errorf("%s in %s, and --%s", count(warnings, "warning"), where, flagStrict)
	}
	_, err := fmt.Fprintf(stdout, "%s and %s: fine\n", count(len(set.Monitors), "monitor"), count(len(set.Receivers), "receiver"))
	return err
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
