package action

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// execKeys are the keys of an exec action; all of them are goma's.
type execKeys struct {
	// Command is the program to run: a path, or a name to look up in PATH. Required.
	// It is retried unless it exits with 0.
	Command string `toml:"command"`
	// Args are its arguments.
	Args []string `toml:"args"`
	// Env holds NAME=VALUE pairs that the program sees in addition to PATH, HOME,
	// USER, LANG, TZ, LC_* and the variables of the notification.
	Env []setting.Secret `toml:"env"`
	// Timeout is how long the program may run; 30 s, at most 10 min.
	Timeout setting.Duration `toml:"timeout"`
	// Debug logs what the program prints.
	Debug bool `toml:"debug"`
}

// execAction runs a program for each notification.
type execAction struct {
	command string
	args    []string
	env     []string
	timeout time.Duration
	debug   *slog.Logger // nil unless the key debug is set
	secrets *redactor
	slots   chan struct{} // holds an element for each running program
	guard   *command.Guardian
}

// maxPrograms bounds the concurrent programs of exec actions, so that the machine
// stays usable when all monitors fail together.
const maxPrograms = 16

func newExec(decode func(any) error, env Env, slots chan struct{}) (Action, error) {
	var keys execKeys
	if err := decode(&keys); err != nil {
		return nil, err
	}
	if keys.Command == "" {
		return nil, errors.New("command is missing: name the program to run")
	}
	timeout, err := checkTimeout(time.Duration(keys.Timeout))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(append([]string{keys.Command}, keys.Args...), hasNUL) {
		return nil, errors.New("command and args must not hold NUL bytes")
	}
	a := &execAction{command: keys.Command, args: keys.Args, timeout: timeout, slots: slots, guard: env.Guardian}
	var secrets []string
	for i, pair := range keys.Env {
		name, value, ok := strings.Cut(pair.Reveal(), "=")
		if !ok || name == "" || hasNUL(value) {
			return nil, fmt.Errorf("env: entry %d is not NAME=VALUE", i+1)
		}
		a.env = append(a.env, pair.Reveal())
		secrets = append(secrets, value)
	}
	a.secrets = newRedactor(secrets...)
	if keys.Debug {
		a.debug = env.log()
	}
	return a, nil
}

func hasNUL(s string) bool { return strings.Contains(s, "\x00") }

// Deadline returns the deadline of an attempt. It includes the time to wait for a
// slot.
func (a *execAction) Deadline() time.Duration { return MaxTimeout }

// Kind returns "exec".
func (a *execAction) Kind() string { return "exec" }

// Inits says that every start is notified of at once: goma's programs may prepare
// something.
func (a *execAction) Inits() (atOnce, onceGood bool) { return true, false }

// String names the action without its arguments, which may hold secrets.
func (a *execAction) String() string {
	return fmt.Sprintf("exec %s (+%d args)", a.command, len(a.args))
}

// Notify runs the program. If it ends in time, the processes that it leaves running
// live on, as with goma.
func (a *execAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to run %s: %w", a, context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	out, err := command.Run(ctx, command.Spec{
		Path:       a.command,
		Args:       a.args,
		Env:        append(slices.Clone(a.env), environment(ns[0])...),
		Background: true,
		Guardian:   a.guard,
	})
	if a.debug != nil {
		a.debug.Info("action ran", "action", a.String(), "monitor", ns[0].Monitor, "event", ns[0].Event,
			"exit", out.ExitCode, "stdout", a.secrets.text(string(out.Stdout)), "stderr", a.secrets.text(string(out.Stderr)))
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", a, a.secrets.err(err))
	}
	return nil
}

// environment returns the variables for a notification. As with goma, the value is
// set on failure only and the duration on recovery only.
func environment(n Notification) []string {
	var vars []string
	add := func(name, value string) {
		vars = append(vars, name+"="+strings.ReplaceAll(value, "\x00", ""))
	}
	both := func(name, value string) {
		add("GOMA_"+name, value)
		add("MONITOR_"+name, value)
	}
	both("MONITOR", n.Monitor)
	both("VERSION", n.Version)
	add("GOMA_EVENT", n.Event.goma())
	add("MONITOR_EVENT", string(n.Event))
	switch n.Event {
	case Fail, Repeat:
		both("VALUE", n.value())
	case Recover:
		both("DURATION", strconv.Itoa(n.seconds()))
	}
	add("MONITOR_HOST", n.Host)
	add("MONITOR_INCIDENT", n.Incident)
	add("MONITOR_ERROR", text.Lines(n.Error[:min(len(n.Error), maxVariable)]))
	add("MONITOR_SINCE", timestamp{n.Since}.String())
	add("MONITOR_TIME", timestamp{n.Time}.String())
	add("MONITOR_SEQ", strconv.FormatInt(n.Seq, 10))
	add("MONITOR_FAILURES", strconv.Itoa(n.Failures))
	return vars
}

// maxVariable bounds a text in a variable or in the body of a request, in bytes.
const maxVariable = 4 << 10
