//go:build !linux

package command

import (
	"context"
	"errors"
	"fmt"
)

// table is not needed where no program is run.
type table struct{}

// Run returns nil at the end of ctx.
func (g *Guardian) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Guard fails: programs are run on Linux only.
func Guard() error {
	return fmt.Errorf("guarding commands: %w", errors.ErrUnsupported)
}

func run(_ context.Context, spec Spec) (Output, error) {
	return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w: programs are run on Linux only", spec.Path, errors.ErrUnsupported)
}
