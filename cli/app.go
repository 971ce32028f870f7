package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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

// errTold ends a command that has said already why it fails.
var errTold = errors.New("it was told why")

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, args []string, p Process) int {
	err := withFlags(execute(ctx, args[min(1, len(args)):], p))
	if err == nil {
		return ExitOK
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintf(p.Stderr, "monitor-srv: %v\n", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailed
}

// execute has the library parse the words of a command line and run the command.
func execute(ctx context.Context, words []string, p Process) error {
	begun := false
	root := newRoot(p, func(ctx context.Context, c command, inv *invocation) error {
		begun = true
		return c.run(ctx, inv)
	})
	words, err := arrange(root, words)
	if err == nil {
		root.SetArgs(words)
		err = root.ExecuteContext(ctx)
	}
	if err != nil && !begun {
		return usageError{err}
	}
	return err
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
	options *options
	words   []string               // behind the command
	given   func(flag string) bool // on the command line or by a variable
}

// word returns the first word, or "".
func (inv *invocation) word() string {
	if len(inv.words) == 0 {
		return ""
	}
	return inv.words[0]
}

// A runner runs a command whose words and flags are right.
type runner func(ctx context.Context, c command, inv *invocation) error

// newRoot describes the command line to the library that parses it.
func newRoot(p Process, run runner) *cobra.Command {
	root := newCommand(p, serving(), run)
	root.Use, root.GroupID = "monitor-srv", ""
	root.Short = "health monitor for go-micro services"
	root.Long = "monitor-srv is a health monitor for go-micro services. Without a command it serves."
	root.Example = examples("monitor-srv --registry_address=127.0.0.1:8500", "monitor-srv -s 127.0.0.1:3838 list")
	root.Version = p.Version
	root.Flags().Bool("version", false, "print the version")
	root.SetVersionTemplate("{{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.TraverseChildren = true // else no command is completed behind a flag
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(flagError)
	for _, g := range groups() {
		root.AddGroup(&cobra.Group{ID: g, Title: g + ":"})
	}
	for _, c := range commands() {
		root.AddCommand(newCommand(p, c, run))
	}
	root.AddCommand(newCompletion(root))
	root.SetHelpCommand(newHelp(root))
	root.InitDefaultHelpCmd()
	return root
}

// newCommand describes one command to the library.
func newCommand(p Process, c command, run runner) *cobra.Command {
	inv := &invocation{Process: p, options: newOptions()}
	cmd := &cobra.Command{
		Use: strings.TrimSpace(c.name + " " + c.words), Aliases: c.aliases, Short: c.usage, GroupID: c.group, Example: examples(c.examples...),
		ValidArgsFunction: c.completer(inv),
	}
	c.flags(inv.options, flagSet{cmd.Flags()})
	inv.given = cmd.Flags().Changed
	completeChoices(cmd)
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if !cmd.HasParent() && len(words) > 0 {
			return unknownCommand(cmd, words[0])
		}
		return c.checkWords(words)
	}
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		if err := setByVariables(cmd.Flags()); err != nil {
			return err
		}
		if err := inv.options.checkOutput(); err != nil {
			return err
		}
		inv.words = words
		return run(cmd.Context(), c, inv)
	}
	return cmd
}

// examples writes command lines as the help shows them.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
