package access

import (
	"slices"
	"strings"
)

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"

// Registration holds the properties of a definition on which the permission to
// register it depends.
type Registration struct {
	// Probe is the kind of the probe.
	Probe string
	// Actions are the kinds of the inline actions. Actions that name a receiver are
	// not included: every role may use them.
	Actions []string
	// Commands are those of exec probes and actions.
	Commands []Command
}

// Command is a command that a definition runs.
type Command struct {
	// Argv is the command and its arguments. It is nil if the definition is invalid.
	Argv []string
	// CustomEnv is true if the definition also sets environment variables or the
	// directory of the command, which can change its effect.
	CustomEnv bool
}

// operatorProbes are the kinds that only open connections to addresses that probes
// of operators may reach.
func operatorProbes() []string { return []string{"dns", "grpc", "http", "ping", "tcp"} }

// Permit returns nil if a caller with the role may register the definition, else an
// ErrForbidden with the reason. An operator may use the probes dns, grpc, http, ping
// and tcp, and receivers as actions. An admin may use everything, but exec only within
// the limits of ExecAPI and ExecAllow.
func (p Policy) Permit(role Role, r Registration) error {
	if err := Enough(role, Operator); err != nil {
		return err
	}
	if role < Admin {
		if !slices.Contains(operatorProbes(), r.Probe) {
			return forbid("an operator may register probes of the types %s, not %.40q", strings.Join(operatorProbes(), ", "), r.Probe)
		}
		if len(r.Actions) > 0 {
			return forbid("an operator may use only actions that name a receiver of a local file: receiver = %q", "NAME")
		}
		return nil
	}
	exec := false
	for _, kind := range append([]string{r.Probe}, r.Actions...) {
		if err := checkKindName(kind); err != nil {
			return err
		}
		exec = exec || kind == kindExec
	}
	if !exec {
		return nil
	}
	return p.permitExec(r.Commands)
}

// checkKindName rejects names that no kind can have, in case some later code reads
// one of them as exec.
func checkKindName(kind string) error {
	for _, r := range kind {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return forbid("the type %.40q contains characters other than lower case letters and digits", kind)
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
		return forbid("the definition has no valid command")
	}
	for _, c := range commands {
		if c.CustomEnv {
			return forbid("an allowed command must not have the keys env, pass_env and dir (--exec_allow)")
		}
		if !p.ExecAllow.Permits(c.Argv) {
			return forbid("the command with exactly these arguments is not in the list of allowed commands (--exec_allow)")
		}
	}
	return nil
}
