//go:build !linux

package command

import (
	"context"
	"errors"
	"fmt"
)

// runTable and family are empty: no program is run.
type (
	runTable struct{}
	family   struct{}
)

func newFamily() *family { return &family{} }

// Run waits for the end of ctx.
func (g *Guardian) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Guard fails: commands are supported on Linux only.
func Guard() error {
	return fmt.Errorf("guarding commands: %w", errors.ErrUnsupported)
}

func do(_ context.Context, spec Spec) (Output, error) {
	return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w: commands are supported on Linux only", spec.Path, errors.ErrUnsupported)
}
