package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/microhq/monitor-srv/command"
)

// guardianWord is the command line that an instance gives to its guardian: this
// program again, which kills the instance's commands when it is killed. It is for
// nobody else, so the help does not tell it.
const guardianWord = "guard-commands"

func newGuardian(log *slog.Logger) *command.Guardian {
	return command.NewGuardian(command.GuardianConfig{Path: "/proc/self/exe", Args: []string{guardianWord}, Log: log})
}

func isGuardian(args []string) bool { return len(args) == 2 && args[1] == guardianWord }

// guardCommands is all that a guardian does: no flag is read and nothing is opened.
func guardCommands(stderr io.Writer) int {
	if err := command.Guard(); err != nil {
		fmt.Fprintf(stderr, "monitor-srv: %v\n", err)
		return exitFailed
	}
	return exitFine
}
