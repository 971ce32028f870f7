package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/text"
)

const (
	// MaxOutput is how many bytes of stdout and of stderr are retained, as in
	// Consul's script checks.
	MaxOutput = 4 << 10

	// Grace is the time between SIGTERM and SIGKILL.
	Grace = time.Second

	// maxReason bounds the part of the output in an error, in bytes.
	maxReason = 256

	// killTimeout is how long a killed program may take to end before it is reported
	// as unkillable.
	killTimeout = 200 * time.Millisecond

	// cleanTime is how long, after the program has ended, the processes that it left
	// are killed and open pipes are read. Together with Grace and killTimeout it stays
	// below 1.5 s.
	cleanTime = 250 * time.Millisecond

	// niceness is added to our nice value for commands that measure. They get a third
	// of the processor time of others, so that they do not delay this process. With
	// less, they would fail on busy machines.
	niceness = 5
)

// Spec describes a run.
type Spec struct {
	// Path is the program. A name without a slash is looked up in the PATH of the
	// program's environment.
	Path string
	// Args are its arguments, without the name of the program.
	Args []string
	// Env holds NAME=VALUE pairs; later ones win. The program sees them, PATH, HOME,
	// USER, LANG, TZ and LC_* of this process, and the variables in Pass.
	Env []string
	// Pass names further variables of this process that the program sees.
	Pass []string
	// Dir is the working directory; empty means "/".
	Dir string
	// Background lets processes live on that the program leaves behind when it ends
	// in time. Otherwise all of them are killed as soon as it ends; the program writes
	// no core files, and has a nice value 5 higher than this process.
	Background bool
	// Guardian adopts orphans of the run, and kills its processes if this process dies
	// meanwhile. With nil, nothing does, and a process that clears its environment may
	// be missed.
	Guardian *Guardian
}

// Output is the result of a run.
type Output struct {
	// Stdout and Stderr hold the first MaxOutput bytes of each.
	Stdout, Stderr []byte
	// StdoutSize and StderrSize count all bytes read.
	StdoutSize, StderrSize int64
	// ExitCode is the exit code, or -1 if the program did not exit by itself.
	ExitCode int
	// Signal is what ended the program, or 0.
	Signal syscall.Signal
	// Duration is the time from the start to the end of the run.
	Duration time.Duration
	// Unkillable is set if a process of the run survived SIGKILL.
	Unkillable bool
}

// Reason returns the start of stderr, or of stdout if stderr is empty, as one printable
// line of at most 256 bytes. Of several lines that are longer together, it has the first
// and the last, where scripts that crash say why.
func (o Output) Reason() string {
	said := strings.TrimSpace(string(o.Stderr))
	if said == "" {
		said = strings.TrimSpace(string(o.Stdout))
	}
	first, rest, several := strings.Cut(said, "\n")
	if whole := text.Line(said, maxReason); !several || !strings.HasSuffix(whole, "…") {
		return whole
	}
	last := rest[strings.LastIndexByte(rest, '\n')+1:]
	const half = (maxReason - len(" … ")) / 2
	return text.Line(first, half) + " … " + text.Line(last, half)
}

// An ExitError means that the program failed.
type ExitError struct {
	// Code is the exit code, or -1 if a signal ended the program.
	Code int
	// Signal is what ended the program, or 0.
	Signal syscall.Signal
	// Reason is that of the Output.
	Reason string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != 0 {
		text = fmt.Sprintf("ended by signal %d (%v)", int(e.Signal), e.Signal)
	}
	return withReason(text, e.Reason)
}

// A TimeoutError means that the context ended before the program. It unwraps to the
// cause of the context.
type TimeoutError struct {
	// After is how long the program ran.
	After time.Duration
	// Reason is that of the Output.
	Reason string

	cause error
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("killed after %v: %v", e.After.Round(time.Millisecond), e.cause)
	return withReason(text, e.Reason)
}

// Unwrap returns the cause of the context's end.
func (e *TimeoutError) Unwrap() error { return e.cause }

// Timeout reports whether the context ended by its deadline.
func (e *TimeoutError) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

// Run runs spec to its end. The error is nil if and only if the program exited with 0
// in time. It is an *ExitError if it ended otherwise, a *TimeoutError if ctx ended
// first, and any other error if it could not be started. The Output is valid in each
// case.
func Run(ctx context.Context, spec Spec) (Output, error) {
	if err := ctx.Err(); err != nil {
		return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w", spec.Path, context.Cause(ctx))
	}
	return do(ctx, spec)
}
