// Command monitor-srv is go.micro.srv.monitor: it keeps one live view of the
// health of a fleet of go-micro services and answers for it.
//
// Without a command it serves. See "monitor-srv help".
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/microhq/monitor-srv/cli"
	"github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/service"
)

// version is set by the linker; see the Makefile and cli.BuildVersion.
var version = cli.Unversioned

func main() {
	if command.IsGuardian(os.Args) {
		os.Exit(guard())
	}
	service.BoundResponses()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args, cli.Process{
		Version: cli.BuildVersion(version), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}

// guard is all that the guardian process does: it reads no flag and opens nothing.
func guard() int {
	if err := command.Guard(); err != nil {
		fmt.Fprintf(os.Stderr, "monitor-srv: %v\n", err)
		return cli.ExitFailed
	}
	return cli.ExitOK
}
