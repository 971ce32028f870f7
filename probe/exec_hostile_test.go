package probe

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// hostile are scripts that do what no check should. N is a word in the arguments of all
// that they start and that must be gone.
var hostile = []struct{ name, script, want string }{
	{"prints without end", "yes N", "deadline"},
	{"prints errors without end", "yes N >&2", "deadline"},
	{"prints 100 MB in one line", "head -c 100000000 /dev/zero", ""},
	{"prints what terminals obey", `printf '\033]0;owned\007\033[2J\r\000\377\342\200\256x' >&2; exit 1`, "exit status 1: "},
	{"closes everything and lives", "exec <&- >&- 2>&-; sleep N", "deadline"},
	{"prints to nobody", "exec >&-; echo x", "exit status"},
	{"reads what nobody writes", "cat; exit 0", ""},
	{"asks the terminal", "read x </dev/tty && exit 0; exit 5", "exit status"},
	{"waits on a pipe with a name", "d=$(mktemp -d); trap 'rm -r $d' TERM; mkfifo $d/p; sh -c ': N; read x <$0/p' $d & wait", "deadline"},
	{"stops itself", "kill -STOP $$; : N", "deadline"},
	{"stops its group", "sleep N & kill -TSTP 0; kill -STOP 0", "deadline"},
	{"kills its group", "sleep N & kill -9 0; sleep N", "signal 9"},
	{"crashes", "sleep N & kill -SEGV $$", "signal 11"},
	{"dies of a pipe", "sleep N & kill -PIPE $$", "signal 13"},
	{"ends with a code of its own", "exit 255", "exit status 255"},
	{"runs what is not there", "no-such-program-N", "exit status 127"},
	{"ignores all signals", "trap '' TERM HUP INT QUIT USR1 PIPE ALRM; sleep N; sleep N", "deadline"},
	{"answers the end with more", "trap 'sleep N & sleep N & sleep N' TERM; sleep N & wait; sleep N", "deadline"},
	{"forks without end", "while :; do sleep N & sleep 0.02; done", "deadline"},
	{"moves on without end", "f() { setsid sh -c ': N; sleep 0.02; exec setsid sh -c \": N; sleep 0.02; sleep N\"' & }; f; f; f; wait; sleep N", "deadline"},
	{"leaves a child with its output", "sleep N & exit 0", ""},
	{"leaves a daemon", "setsid -f sleep N </dev/null >/dev/null 2>&1", ""},
	{"leaves a daemon of a daemon", "setsid -f sh -c 'setsid -f sleep N; sleep N' </dev/null >/dev/null 2>&1; sleep 0.05", ""},
	{"leaves a daemon without its environment", "exec env -i setsid -f sleep N >/dev/null 2>&1", ""},
	{"leaves a daemon with another's mark", "MONITOR_RUN=0000000000000001 setsid -f sleep N >/dev/null 2>&1; exit 4", "exit status 4"},
	{"leaves a stopped daemon", "setsid -f sh -c 'kill -STOP $$; : N' >/dev/null 2>&1; sleep 0.05", ""},
	{"leaves what hangs up for nobody", "nohup setsid sh -c 'trap \"\" TERM HUP; sleep N; sleep N' >/dev/null 2>&1 & exit 0", ""},
	{"removes its directory", "d=$(mktemp -d); cd $d; rmdir $d; ls . >/dev/null", ""},
	{"takes its own files away", "ulimit -n 3; ls / >/dev/null", "exit status"},
	{"wants a core file", "ulimit -c unlimited 2>/dev/null; kill -ABRT $$", "signal 6"},
	{"becomes another program", "exec sleep N", "deadline"},
	{"has no name", "exec bash -c 'exec -a \"\" sleep N'", "deadline"},
	{"gives way to all", "exec nice -n 19 sleep N", "deadline"},
}

// Faults: T30, T31, S1.
func TestHostileCommandsEndInTimeAndLeaveNothing(t *testing.T) {
	for i, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			if i%4 != 0 { // the others are of kinds that package command tests too
				testkit.SkipIfShort(t)
			}
			word := fmt.Sprintf("1000.%07d%03d", os.Getpid(), i)
			p := execProbeOf(t, script(t, strings.ReplaceAll(c.script, "N", word)))
			const timeout = 500 * time.Millisecond
			begin := time.Now()
			r, err := run(t, p, timeout)
			if c.want != "deadline" && err != nil && strings.Contains(err.Error(), "deadline") { // on a busy machine
				r, err = run(t, p, 20*time.Second)
			} else if took := time.Since(begin); took > timeout+1500*time.Millisecond+slack {
				t.Errorf("took %v, want at most %v", took, timeout+1500*time.Millisecond)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			for _, text := range []string{r.Detail, fmt.Sprint(err)} {
				if strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
					t.Errorf("%q is not printable", text)
				}
			}
			if len(r.Detail) > maxDetail {
				t.Errorf("detail of %d bytes", len(r.Detail))
			}
			if pids, _ := testkit.ProcessesWithArg(t, word); len(pids) != 0 {
				t.Errorf("processes %v live on", pids)
				testkit.Kill(pids)
			}
		})
	}
}
