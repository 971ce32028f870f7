package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/web"
)

// bashCompletion asks bash for the completions of $1. Where the package bash-completion
// is not installed, the one function that the script needs of it is made here.
const bashCompletion = `
[ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
compopt() { :; } # it works at a terminal only
. <(monitor-srv completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$1"
[ "${1% }" = "$1" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
__start_monitor-srv
printf '%s\n' "${COMPREPLY[@]%% *}"
`

// zshCompletion does the same with zsh, which completes at a terminal only: what the
// script describes to it is printed in its place.
const zshCompletion = `
autoload -U compinit && compinit -D -u
. <(monitor-srv completion zsh)
_describe() { print -l -- "${(@)completions%%:*}" }
words=(${(z)1}); [[ $1 == *' ' ]] && words+=('')
CURRENT=$#words
_monitor-srv
`

const fishCompletion = `
monitor-srv completion fish | source
complete --do-complete "$argv[1]" | string replace -r '\t.*' ''
true
`

// The shells complete commands, flags, their values and the ids of monitors with what
// "monitor-srv completion" prints.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(web.VersionHeader, "v1")
		_, _ = io.WriteString(w, `[{"id": "1", "name": "shop"}, {"id": "12", "name": "db"}]`)
	}))
	t.Cleanup(server.Close)
	path := filepath.Dir(binary(t, "monitor-srv")) + ":" + os.Getenv("PATH")
	for shell, args := range map[string][]string{
		"bash": {"--norc", "-c", bashCompletion, "bash"}, "zsh": {"-f", "-c", zshCompletion, "zsh"}, "fish": {"--no-config", "-c", fishCompletion},
	} {
		t.Run(shell, func(t *testing.T) {
			if shell != "bash" {
				testkit.SkipIfShort(t)
			}
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			for line, want := range map[string]string{
				"monitor-srv unr":            "unregister",
				"monitor-srv star":           "start",
				"monitor-srv -s mon stop --": "--help --output",
				"monitor-srv list -o ":       "json table",
				"monitor-srv -broker n":      "nats",
				"monitor-srv stop ":          "1 12",
			} {
				cmd := exec.CommandContext(t.Context(), shell, append(slices.Clone(args), line)...)
				cmd.Env = append(cleanEnv(), "PATH="+path, "HOME="+t.TempDir(), "MONITOR_HTTP_ADDRESS="+server.URL)
				out, err := cmd.CombinedOutput()
				got := slices.DeleteFunc(strings.Fields(string(out)), func(word string) bool {
					return !strings.HasPrefix(word, line[strings.LastIndexByte(line, ' ')+1:]) // zsh filters what it is told
				})
				slices.Sort(got)
				if err != nil || strings.Join(slices.Compact(got), " ") != want {
					t.Errorf("%q: %v, %q, want %s", line, err, out, want)
				}
			}
		})
	}
}
