package action

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// Only a program that exits with 0 has notified somebody, whatever it does besides.
// Faults: T46.
func TestProgramsThatEndOddly(t *testing.T) {
	script := testkit.NewFile(t, "no-shebang", "exit 0\n")
	for name, c := range map[string]struct {
		keys   string
		result string
		want   string // in the error
	}{
		"exit 0":                 {testkit.ShellKeys("exit 0"), sent, ""},
		"exit 0 with complaints": {testkit.ShellKeys("echo no >&2"), sent, ""},
		"much output":            {testkit.ShellKeys("head -c 2000000 /dev/zero"), sent, ""},
		"garbage":                {testkit.ShellKeys(`printf '\\377\\000\\033[31m'`), sent, ""},
		"closes everything":      {testkit.ShellKeys("exec 0<&- 1>&- 2>&-"), sent, ""},
		"reads its input":        {testkit.ShellKeys("cat"), sent, ""},
		"leaves a child":         {testkit.ShellKeys("sleep 1 & exit 0"), sent, ""},
		"ignores the variables":  {testkit.ShellKeys("unset MONITOR_EVENT"), sent, ""},
		"exit 1":                 {testkit.ShellKeys("exit 1"), again, "exit"},
		"exit 2":                 {testkit.ShellKeys("exit 2"), again, "2"},
		"exit 75, try again":     {testkit.ShellKeys("exit 75"), again, "75"},
		"exit 126":               {testkit.ShellKeys("exit 126"), again, "126"},
		"exit 127":               {testkit.ShellKeys("exit 127"), again, "127"},
		"exit 255":               {testkit.ShellKeys("exit 255"), again, "255"},
		"reason":                 {testkit.ShellKeys("echo 'no route' >&2; exit 1"), again, "no route"},
		"SIGTERM":                {testkit.ShellKeys("kill -TERM $$"), again, "signal"},
		"SIGKILL":                {testkit.ShellKeys("kill -KILL $$"), again, "signal"},
		"SIGSEGV":                {testkit.ShellKeys("kill -SEGV $$"), again, "signal 11"},
		"SIGPIPE":                {testkit.ShellKeys("kill -PIPE $$"), again, "signal"},
		"never ends":             {testkit.ShellKeys("sleep 60") + "\ntimeout = \"300ms\"", again, ""},
		"ignores SIGTERM":        {testkit.ShellKeys("trap '' TERM; sleep 60") + "\ntimeout = \"300ms\"", again, ""},
		"missing":                {`command = "/no/such/program"`, again, "no such file"},
		"missing in PATH":        {`command = "no-such-program-anywhere"`, again, "no-such-program-anywhere"},
		"a directory":            {`command = "/tmp"`, again, ""},
		"not executable":         {fmt.Sprintf("command = %q", script), again, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			testkit.TakesAtMost(t, 20*time.Second, func() { err = build(t, "exec", c.keys).Notify(t.Context(), []Notification{testFail}) })
			if got := resultOf(err); got != c.result || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("it is %s, want %s with %q: %v", got, c.result, c.want, err)
			}
		})
	}
}
