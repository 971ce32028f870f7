//go:build !linux

package command

import (
	"context"
	"errors"
	"fmt"
)

func run(_ context.Context, spec Spec) (Output, error) {
	return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w: programs are run on Linux only", spec.Path, errors.ErrUnsupported)
}
