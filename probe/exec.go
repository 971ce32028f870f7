package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/microhq/monitor-srv/command"
)

// execConfig holds the keys of the kind exec.
type execConfig struct {
	// Command is the program to run: a path, or a name to look up in PATH.
	Command string `toml:"command"`
	// Args are its arguments.
	Args []string `toml:"args"`
	// Parse makes the printed number the value. Without it the value is 0 if the
	// program succeeds.
	Parse bool `toml:"parse"`
	// Errval is the value shown with parse when the probe fails.
	Errval float64 `toml:"errval"`
	// Env adds variables to the environment of the program, each NAME=VALUE.
	Env []string `toml:"env"`
	// PassEnv names variables of the service that are passed to the program.
	PassEnv []string `toml:"pass_env"`
	// Dir is the working directory; default "/".
	Dir string `toml:"dir"`
	// ExitCodes is "" or "nagios": 0 ok, 1 warning, 2 critical, 3 unknown.
	ExitCodes string `toml:"exit_codes"`
	// Expect is a regular expression that standard output must match, ExpectNot one
	// that it must not match.
	Expect    string `toml:"expect"`
	ExpectNot string `toml:"expect_not"`
}

// failedValue is the value shown for a failed probe that measures no number, as in
// goma.
const failedValue = 1

type execProbe struct {
	execConfig
	spec      command.Spec
	expect    *pattern // nil for none
	expectNot *pattern // nil for none
	secrets   []string
	log       *slog.Logger
}

func newExec(decode func(any) error, env Env) (Probe, error) {
	var c execConfig
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := c.check(env); err != nil {
		return nil, err
	}
	path := c.Command
	if strings.Contains(path, "/") && c.Dir == "" {
		// A relative path is relative to the working directory of the service, as in
		// a shell.
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("command: %w", err)
		}
		path = abs
	}
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &execProbe{
		execConfig: c,
		log:        log,
		spec:       command.Spec{Path: path, Args: c.Args, Env: c.Env, Pass: c.PassEnv, Dir: c.Dir, Guardian: env.Guardian},
		secrets:    secretVariables(c.Env),
	}
	var err error
	if p.expect, err = optionalPattern("expect", c.Expect); err != nil {
		return nil, err
	}
	p.expectNot, err = optionalPattern("expect_not", c.ExpectNot)
	return p, err
}

func (c *execConfig) check(env Env) error {
	if err := env.localOnly(); err != nil {
		return err
	}
	if err := required("command", c.Command); err != nil {
		return err
	}
	if err := finite("errval", c.Errval); err != nil {
		return err
	}
	if err := checkOneOf("exit_codes", c.ExitCodes, "", "nagios"); err != nil {
		return err
	}
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("dir: %q is not an absolute path", c.Dir)
	}
	for i, pair := range c.Env {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return fmt.Errorf("env: entry %d is not NAME=VALUE", i+1)
		}
	}
	for i, name := range c.PassEnv {
		if name == "" || strings.Contains(name, "=") {
			return fmt.Errorf("pass_env: entry %d is not the name of a variable", i+1)
		}
	}
	for _, text := range append(append([]string{c.Command, c.Dir}, c.Args...), c.Env...) {
		if strings.ContainsRune(text, 0) {
			return errors.New("command, args, env, dir: a NUL byte cannot be passed to a program")
		}
	}
	return nil
}

// secretVariables returns the values of the variables whose names suggest a secret.
func secretVariables(env []string) []string {
	var secrets []string
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		name = strings.ToUpper(name)
		for _, word := range []string{"PASS", "PWD", "SECRET", "TOKEN", "KEY", "CRED"} {
			if strings.Contains(name, word) {
				secrets = append(secrets, value)
				break
			}
		}
	}
	return secrets
}

// Probe runs the program.
func (p *execProbe) Probe(ctx context.Context) (Result, error) {
	out, err := command.Run(ctx, p.spec)
	if out.Unkillable {
		p.log.Warn("some processes of a command could not be killed", "command", p.Command)
	}
	r, err := p.judge(ctx, out, err)
	if err != nil {
		r.Value = failedValue
		if p.Parse {
			r.Value = p.Errval
		}
		err = redact(fmt.Errorf("running %s: %w", p.shown(), err), p.secrets...)
	}
	r.Detail = p.detail(out)
	return r, err
}

// shown returns the command for errors, without the arguments, which may hold
// secrets.
func (p *execProbe) shown() string {
	if len(p.Args) == 0 {
		return fmt.Sprintf("%q", p.Command)
	}
	return fmt.Sprintf("%q (+%d args)", p.Command, len(p.Args))
}

// judge turns the end of a run into a result.
func (p *execProbe) judge(ctx context.Context, out command.Output, err error) (Result, error) {
	var r Result
	if exit := (*command.ExitError)(nil); p.ExitCodes == "nagios" && errors.As(err, &exit) {
		switch exit.Code {
		case 1:
			r.Warning, err = true, nil
		case 2:
			return r, fmt.Errorf("critical: %s", cmp.Or(p.said(out), "it printed nothing"))
		case 3:
			return r, fmt.Errorf("unknown: %s", cmp.Or(p.said(out), "it printed nothing"))
		}
	}
	if err == nil {
		err = p.match(ctx, out)
	}
	if err != nil || !p.Parse {
		return r, err
	}
	r.Value, err = p.number(out)
	return r, err
}

// match compares standard output with expect and expect_not. What is in the part that
// was not retained is unknown, so expect_not fails without a match, too.
func (p *execProbe) match(ctx context.Context, out command.Output) error {
	size, cut := len(out.Stdout), out.StdoutSize > int64(len(out.Stdout))
	if p.expect != nil {
		switch found, err := p.expect.match(ctx, out.Stdout); {
		case err != nil:
			return err
		case !found && cut:
			return fmt.Errorf("the first %d of %d bytes of its output do not match expect %q", size, out.StdoutSize, p.expect)
		case !found:
			return withStderr(fmt.Errorf("its output %.100q does not match expect %q", firstLine(out.Stdout), p.expect), out)
		}
	}
	if p.expectNot != nil {
		switch found, err := p.expectNot.match(ctx, out.Stdout); {
		case err != nil:
			return err
		case found:
			return fmt.Errorf("its output matches expect_not %q: %.100q", p.expectNot, p.expectNot.re.Find(out.Stdout))
		case cut:
			return fmt.Errorf("its output is %d bytes long, of which expect_not sees the first %d: print less", out.StdoutSize, size)
		}
	}
	return nil
}

// number parses the printed number.
func (p *execProbe) number(out command.Output) (float64, error) {
	if out.StdoutSize > int64(len(out.Stdout)) {
		return 0, fmt.Errorf("its output is %d bytes long, want a number", out.StdoutSize)
	}
	v, err := ParseValue(string(out.Stdout))
	if err != nil {
		said := firstLine(out.Stdout)
		if said != "" {
			return 0, withStderr(fmt.Errorf("its output %w: %.40q", err, said), out)
		}
		return 0, withStderr(fmt.Errorf("its output %w", err), out)
	}
	return v, nil
}

// withStderr adds to an error about standard output what is on standard error, where
// a script that exits with 0 all the same says why.
func withStderr(err error, out command.Output) error {
	if len(bytes.TrimSpace(out.Stderr)) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", err, out.Reason())
}

// detail returns how the program ended and what it said.
func (p *execProbe) detail(out command.Output) string {
	text := fmt.Sprintf("exit %d", out.ExitCode)
	switch {
	case out.Signal != 0:
		text = fmt.Sprintf("signal %d (%v)", int(out.Signal), out.Signal)
	case out.ExitCode < 0:
		text = "did not finish"
	}
	if out.Unkillable {
		text += ", could not be killed"
	}
	if said := p.said(out); said != "" {
		text += ": " + said
	}
	return printable(redact(errors.New(text), p.secrets...).Error())
}

// said returns what a program printed for people: a Nagios plugin on standard output,
// others on standard error. If nothing is there, a failure is explained by the other.
func (p *execProbe) said(out command.Output) string {
	nagios := p.ExitCodes == "nagios"
	if line := firstLine(out.Stdout); nagios && line != "" {
		return line
	}
	if nagios || out.ExitCode != 0 || len(out.Stderr) > 0 {
		return out.Reason()
	}
	return ""
}

// Close does nothing: an exec probe holds nothing between runs.
func (p *execProbe) Close() error { return nil }

var _ Probe = (*execProbe)(nil)
