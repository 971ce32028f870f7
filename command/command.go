package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxOutput is how many bytes are kept of each of stdout and stderr, as
	// Consul's script checks do.
	MaxOutput = 4 << 10

	// Grace is the time between SIGTERM and SIGKILL.
	Grace = time.Second

	// maxReason bounds what an error tells of stderr, in bytes.
	maxReason = 256

	// drainTime is how long an open pipe is read after the program has ended:
	// long enough to take what is in it, short enough to stay below 1.5 s after
	// a deadline together with Grace.
	drainTime = 250 * time.Millisecond

	// sweepTime bounds the search for what left the program's group, and
	// killTime is how long a killed program may take to be gone before it is
	// given up.
	sweepTime = 250 * time.Millisecond
	killTime  = 200 * time.Millisecond

	// niceness is what is added to our nice value for commands that measure: a
	// third of the processor time that others get. They must not keep this process
	// from judging in time; less than that would fail them where others are busy.
	niceness = 5
)

// Spec says what to run.
type Spec struct {
	// Path is the program. A name without a slash is looked up in the PATH that
	// the program gets.
	Path string
	// Args are its arguments, without the name of the program.
	Args []string
	// Env holds NAME=VALUE pairs, the later one winning. The program sees them,
	// PATH, HOME, USER, LANG, TZ and LC_* of this process, and those of Pass.
	Env []string
	// Pass names further variables of this process that the program may see.
	Pass []string
	// Dir is the working directory; empty means "/".
	Dir string
	// Background leaves alone what the program leaves running when it ends in
	// time by itself. Otherwise its group is killed as soon as it ends, writes no
	// core files, and has a nice value of 5 more than this process.
	Background bool
	// Guardian kills what the run started if this process dies meanwhile; nil if
	// nobody does.
	Guardian *Guardian
}

// Output is what a run left.
type Output struct {
	// Stdout and Stderr are the first MaxOutput bytes of each.
	Stdout, Stderr []byte
	// StdoutSize and StderrSize count all bytes read, kept or not.
	StdoutSize, StderrSize int64
	// ExitCode is the exit code, or -1 if the program did not exit by itself.
	ExitCode int
	// Signal is what ended the program, or 0.
	Signal syscall.Signal
	// Duration is the time from the start to the end of the run.
	Duration time.Duration
	// Unkillable tells that something of the program outlived SIGKILL.
	Unkillable bool
}

// An ExitError tells that the program ended with something else than success.
type ExitError struct {
	// Code is the exit code, or -1 if a signal ended the program.
	Code int
	// Signal is what ended the program, or 0.
	Signal syscall.Signal
	// Reason is the start of stderr as one printable line, at most 256 bytes.
	Reason string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != 0 {
		text = fmt.Sprintf("ended by signal %d (%v)", int(e.Signal), e.Signal)
	}
	return withReason(text, e.Reason)
}

// A TimeoutError tells that the context ended before the program did. It
// unwraps to the cause of the context.
type TimeoutError struct {
	// After is how long the program had.
	After time.Duration
	// Reason is the start of stderr as one printable line, at most 256 bytes.
	Reason string

	cause error
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("killed after %v: %v", e.After.Round(time.Millisecond), e.cause)
	return withReason(text, e.Reason)
}

// Unwrap returns the cause of the context's end.
func (e *TimeoutError) Unwrap() error { return e.cause }

// Timeout reports whether it was the deadline that ended the program.
func (e *TimeoutError) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

// Run runs spec to its end. The error is nil if and only if the program exited
// with 0 in time; it is an *ExitError if it ended otherwise, a *TimeoutError if
// ctx ended first, and anything else if it could not be started. The Output
// holds whatever there was in each case.
func Run(ctx context.Context, spec Spec) (Output, error) {
	if err := ctx.Err(); err != nil {
		return Output{ExitCode: -1}, fmt.Errorf("starting %q: %w", spec.Path, context.Cause(ctx))
	}
	type result struct {
		out Output
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- result{Output{ExitCode: -1}, fmt.Errorf("running %q: panic: %v", spec.Path, r)}
			}
		}()
		out, err := run(ctx, spec)
		done <- result{out, err}
	}()
	r := <-done
	return r.out, r.err
}

// reason returns the start of b as one printable line.
func reason(b []byte) string {
	text := strings.ToValidUTF8(string(b[:min(len(b), maxReason)]), "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
