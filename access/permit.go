package access

import (
	"slices"
	"strings"
)

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"

// Wish is what of a definition decides who may register it.
type Registration struct {
	// Probe is the kind of the probe.
	Probe string
	// Actions are the kinds of the actions that are written out. Actions that
	// name a receiver are not among them: everybody may have those.
	Actions []string
	// Commands are those of the kind exec, of probe and actions.
	Commands []Command
}

// Command is one that a definition would have run.
type Command struct {
	// Argv is the command and its arguments; nil if the definition does not say
	// them properly.
	Argv []string
	// Altered is set if the definition also gives the command variables or a
	// directory, which change what it does.
	CustomEnv bool
}

// operatorProbes are the kinds that only dial where the guard of probes lets
// them.
func operatorProbes() []string { return []string{"dns", "grpc", "http", "ping", "tcp"} }

// Permit returns nil if a caller with the role may register the wish, else an
// ErrForbidden with the reason. An operator may probe by dns, grpc, http, ping
// and tcp, and act through receivers. An admin may all else, but exec only as
// ExecAPI and ExecAllow say.
func (p Policy) Permit(role Role, w Registration) error {
	if err := Enough(role, Operator); err != nil {
		return err
	}
	if role < Admin {
		if !slices.Contains(operatorProbes(), w.Probe) {
			return forbid("an operator may register probes of the types %s, not %.40q", strings.Join(operatorProbes(), ", "), w.Probe)
		}
		if len(w.Actions) > 0 {
			return forbid("an operator may have actions only by the name of a receiver of a local file: receiver = %q", "NAME")
		}
		return nil
	}
	exec := false
	for _, kind := range append([]string{w.Probe}, w.Actions...) {
		if err := checkKindName(kind); err != nil {
			return err
		}
		exec = exec || kind == kindExec
	}
	if !exec {
		return nil
	}
	return p.permitExec(w.Commands)
}

// plain refuses a kind that is not written as every kind is. It takes no part in
// finding exec, but nothing that reads like it gets any further.
func checkKindName(kind string) error {
	for _, r := range kind {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return forbid("the type %.40q is not written in small letters", kind)
		}
	}
	return nil
}

func (p Policy) permitExec(commands []Command) error {
	if !p.ExecAPI {
		return forbid("commands cannot be registered over the API unless the service runs with --allow_exec_api; a local file may define them")
	}
	if p.ExecAllow == nil {
		return nil
	}
	if len(commands) == 0 {
		return forbid("the command is not known")
	}
	for _, c := range commands {
		if c.CustomEnv {
			return forbid("a command of the list of allowed ones runs without env, pass_env and dir of its own")
		}
		if !p.ExecAllow.Permits(c.Argv) {
			return forbid("the command is not, with exactly these arguments, in the list of allowed ones (--exec_allow)")
		}
	}
	return nil
}
