package command

import "log/slog"

// GuardianWord is the command line that makes a program that checks IsGuardian
// first a guardian. It is for no person, so no help tells it.
const GuardianWord = "guard-commands"

// IsGuardian tells whether a command line, such as os.Args, asks its program to call
// Guard and to do nothing else.
func IsGuardian(args []string) bool { return len(args) == 2 && args[1] == GuardianWord }

// NewReexecGuardian returns a Guardian whose process is this program, run again with
// GuardianWord. "/proc/self/exe" is the same file even after it was replaced.
func NewReexecGuardian(log *slog.Logger) *Guardian {
	return NewGuardian(GuardianConfig{Path: "/proc/self/exe", Args: []string{GuardianWord}, Log: log})
}
