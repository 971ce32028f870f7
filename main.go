// Command monitor-srv is go.micro.srv.monitor: it keeps one live view of the
// health of a fleet of go-micro services and answers for it.
//
// Without a command it serves. See "monitor-srv help".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker; see the Makefile and programVersion.
var version = unversioned

// Exit codes of every command.
const (
	exitFine   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error in the command line itself.
type usageError struct{ error }

func main() {
	if isGuardian(os.Args) {
		os.Exit(guardCommands(os.Stderr))
	}
	version = programVersion(version)
	boundForeignBodies()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := newApp(stdin, stdout, stderr).RunContext(ctx, args)
	if err == nil {
		return exitFine
	}
	fmt.Fprintf(stderr, "monitor-srv: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
