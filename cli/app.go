package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/service"
)

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// usageError is an error in the command line itself.
type usageError struct{ error }

// Process is what the command line knows of its process.
type Process struct {
	Version        string // of the program
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, args []string, p Process) int {
	err := withFlags(newApp(p).RunContext(ctx, args))
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(p.Stderr, "monitor-srv: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailed
}

// withFlags words an error about settings of an instance by the flags that set them.
func withFlags(err error) error {
	var s *service.SettingError
	if !errors.As(err, &s) {
		return err
	}
	words := s.Words(func(s service.Setting) string { return "--" + string(s) })
	err = errors.New(strings.Replace(err.Error(), s.Error(), words, 1))
	if s.Unusable {
		return err
	}
	return usageError{err}
}

// An invocation is one use of a command.
type invocation struct {
	Process
	options options
	words   []string // behind the command
}

// word returns the first word, or "".
func (inv *invocation) word() string {
	if len(inv.words) == 0 {
		return ""
	}
	return inv.words[0]
}

// say prints one line.
func (inv *invocation) say(words ...any) error {
	_, err := fmt.Fprintln(inv.Stdout, words...)
	return err
}

// A command is one command of the program.
type command struct {
	name  string
	words string // as the help shows them
	usage string
	// How many words there are.
	least, most int
	run         func(ctx context.Context, inv *invocation) error
}

// manyWords is more than anybody gives.
const manyWords = 1 << 20

// commands returns all commands. Serving is what the program does without one.
func commands() []command {
	return []command{
		{name: "serve", usage: "serve (the default command)", run: runServe},
		{name: "demo", usage: "serve with a sample publisher, without anything else installed", run: runDemo},
		{name: "health", usage: "ask a running instance for its health; fails unless it is ready", run: runHealth},
		{name: "version", usage: "print the version", run: runVersion},
		{name: "list", usage: "list the monitors", run: runList},
		{name: "show", words: "ID", least: 1, most: 1, usage: "show one monitor", run: runShow},
		{name: "start", words: "ID", least: 1, most: 1, usage: "start a stopped monitor", run: runStart},
		{name: "stop", words: "ID", least: 1, most: 1, usage: "stop a monitor", run: runStop},
		{name: "register", words: "FILE|-", least: 1, most: 1, usage: "register the monitors of a TOML or JSON file", run: runRegister},
		{name: "unregister", words: "ID", least: 1, most: 1, usage: "stop a monitor and remove it", run: runUnregister},
		{name: "verbosity", words: "[LEVEL]", most: 1, usage: "print or change the log level", run: runVerbosity},
		{name: "check", words: "DIR|FILE|-...", least: 1, most: manyWords, usage: "report problems in files of monitors; fails if there are any", run: runCheck},
		{name: "probe", words: "FILE|DIR|- [NAME]", least: 1, most: 2, usage: "run the monitors of a file, or one of them, once and print the results; fails if one fails", run: runProbe},
	}
}

// newApp describes the command line to the library that parses it.
func newApp(p Process) *cli.App {
	app := &cli.App{
		Name:                 "monitor-srv",
		Usage:                "health monitor for go-micro services",
		UsageText:            "monitor-srv [flags] [command]",
		Version:              p.Version,
		Reader:               p.Stdin,
		Writer:               p.Stdout,
		ErrWriter:            p.Stderr,
		HideVersion:          true,
		Flags:                flags(),
		Action:               action(p, command{run: runServe}),
		OnUsageError:         onUsageError,
		ExitErrHandler:       func(*cli.Context, error) {},
		EnableBashCompletion: true,
	}
	for _, c := range commands() {
		app.Commands = append(app.Commands, &cli.Command{
			Name: c.name, ArgsUsage: c.words, Usage: c.usage, Action: action(p, c), OnUsageError: onUsageError,
		})
	}
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	if len(c.Lineage()) > 2 { // a command's own context, the app's and the root
		return usageError{fmt.Errorf("%w; flags come before the command, see \"monitor-srv help\"", err)}
	}
	return usageError{fmt.Errorf("%w; see \"monitor-srv help\"", err)}
}

// action makes a command one of the library.
func action(p Process, cmd command) cli.ActionFunc {
	return func(c *cli.Context) error {
		words := c.Args().Slice()
		if err := cmd.checkWords(words); err != nil {
			return err
		}
		return cmd.run(c.Context, &invocation{Process: p, options: optionsOf(c), words: words})
	}
}

// checkWords refuses flags among the words of a command, which would be silently
// without effect, and too few or too many words.
func (c command) checkWords(words []string) error {
	if c.name == "" && len(words) > 0 {
		return usageError{fmt.Errorf("unknown command %q; see \"monitor-srv help\"", words[0])}
	}
	for _, word := range words {
		if len(word) > 1 && word[0] == '-' {
			return usageError{fmt.Errorf("flag %q must come before the command %q", word, c.name)}
		}
	}
	switch n := len(words); {
	case c.most == 0 && n > 0:
		return usageError{fmt.Errorf("command %q takes no arguments, got %q", c.name, words[0])}
	case n < c.least || n > c.most:
		return usageError{fmt.Errorf("give %q as in: monitor-srv %s %s", c.name, c.name, c.words)}
	}
	return nil
}
