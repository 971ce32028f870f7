package testkit

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
)

// StartChild starts a program that runs until its input ends, which is at the end of
// the test, and returns its input and output. A program that fails fails the test.
func StartChild(tb testing.TB, cmd *exec.Cmd) (in io.Writer, out *bufio.Reader) {
	tb.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	out = bufio.NewReader(stdout)
	tb.Cleanup(func() {
		_ = stdin.Close()
		rest, _ := io.ReadAll(out)
		// The race detector makes a program fail, too.
		if err := cmd.Wait(); err != nil {
			tb.Errorf("%s: %v\n%s%s", cmd, err, rest, &errs)
		}
	})
	return stdin, out
}

// Self returns this test binary as a command that runs a test of it alone, with a
// variable in the environment that tells it to.
func Self(test, variable string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), variable+"=1")
	return cmd
}
