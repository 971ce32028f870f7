package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The help of each command shows its own flags and no others, how it is used, and an
// example, which is a right command line.
//
// Faults: U9.
func TestHelpOfEachCommand(t *testing.T) {
	const micro = "registry registry_address broker broker_address server_name server_version server_id server_address server_advertise server_metadata register_ttl register_interval client_request_timeout client_retries client_pool_size client_pool_ttl"
	const serve = "http_address http_host config_dir state_dir token_file insecure_api allow_exec_api exec_allow allow_targets log_format verbosity retention max_entries " + micro + " help"
	const asking = "http_address output help"
	for name, want := range map[string]string{
		"":      strings.Replace(serve, " help", " version help", 1),
		"serve": serve, "demo": serve,
		"health": "strict " + asking, "list": asking, "show": asking, "start": asking, "stop": asking, "register": asking, "unregister": asking, "verbosity": asking,
		"check": "strict no_secrets output help", "probe": "strict output registry registry_address server_name client_retries help", "version": "output help",
		"completion": "help", "help": "help",
	} {
		help, stderr, code := monitorSrv(t, "", strings.Fields("help "+name)...)
		if code != ExitOK || stderr != "" {
			t.Fatalf("help %s: exit %d, %s", name, code, stderr)
		}
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--(\w+)`).FindAllStringSubmatch(help, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("help %s has the flags %v, want %s", name, got, want)
		}
		for _, args := range [][]string{{name, "--help"}, {name, "-h"}, {"-help", name}} {
			args = slices.DeleteFunc(args, func(a string) bool { return a == "" })
			if name == "help" {
				continue // help --help is the help of all
			}
			if same, _, code := monitorSrv(t, "", args...); code != ExitOK || same != help {
				t.Errorf("%v: exit %d, want that of help %s, got\n%s", args, code, name, same)
			}
		}
		if name == "help" || name == "completion" {
			continue
		}
		_, after, found := strings.Cut(help, "\nExamples:\n")
		lines, _, _ := strings.Cut(after, "\n\n")
		if !found || !strings.Contains(lines, "monitor-srv "+name) {
			t.Errorf("help %s has no example:\n%s", name, help)
		}
		for line := range strings.SplitSeq(lines, "\n") {
			_, words, _ := strings.Cut(line, "monitor-srv")
			words, _, _ = strings.Cut(words, "<")
			if got := parse(t, strings.Fields(words)...); name != "" && got.command != name {
				t.Errorf("the example %q is one of %q", line, got.command)
			}
		}
	}
}

// The help lists every command in a group.
func TestHelpListsCommandsInGroups(t *testing.T) {
	help, _, _ := monitorSrv(t, "", "help")
	for title, want := range map[string]string{
		groupServe: "demo serve", groupInstance: "checks health list receivers register show start status stop unregister verbosity", groupFiles: "check probe", groupOther: "completion help version",
	} {
		_, after, _ := strings.Cut(help, "\n"+title+":\n")
		list, _, _ := strings.Cut(after, "\n\n")
		var got []string
		for line := range strings.SplitSeq(list, "\n") {
			if words := strings.Fields(line); len(words) > 1 {
				got = append(got, words[0])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s in\n%s", title, got, want, help)
		}
	}
	if strings.Contains(help, "Additional") {
		t.Errorf("a command is in no group:\n%s", help)
	}
}

// Whoever asks for help may have typed any flags.
func TestHelpBehindFlags(t *testing.T) {
	want, _, _ := monitorSrv(t, "", "help", "list")
	for _, line := range []string{"-s mon help list", "--strict help list", "help list -o json", "help -s mon list"} {
		if got, stderr, code := monitorSrv(t, "", strings.Fields(line)...); code != ExitOK || got != want {
			t.Errorf("%s: exit %d, %s%s", line, code, got, stderr)
		}
	}
}

// A shell is told commands, flags, values of flags and the ids of monitors.
func TestWhatShellsComplete(t *testing.T) {
	address := instance(t, map[string]string{"GET /list": `[{"id": "1", "name": "shop"}, {"id": "12", "name": "db"}]`})
	t.Setenv("MONITOR_HTTP_ADDRESS", address)
	for line, want := range map[string]string{
		"star":                              "start\tstart a stopped monitor\n:4\n",
		"-s mon sto":                        "stop\tstop a monitor\n:4\n",
		"list --out":                        "--output\tprint results in `FORMAT`, table or json [$MONITOR_OUTPUT]\n:4\n",
		"list -o ":                          "table\njson\n:4\n",
		"--broker ":                         "http\nnats\n:4\n",
		"-registry m":                       "consul\nmdns\nmemory\n:4\n",
		"stop ":                             "1\tshop\n12\tdb\n:4\n",
		"stop 1 ":                           ":4\n",
		"-s " + closedAddress(t) + " stop ": ":4\n",
		"--strict check ":                   ":0\n",
		"list ":                             ":4\n",
		"checks ":                           ":4\n",
		"verbosity d":                       "critical\nerror\nwarning\ninfo\ndebug\n:4\n",
		"help list ":                        ":4\n",
		"completion ":                       "bash\nzsh\nfish\n:4\n",
	} {
		stdout, _, code := monitorSrv(t, "", append([]string{"__complete"}, strings.Split(line, " ")...)...)
		if code != ExitOK || stdout != want {
			t.Errorf("%s: exit %d, %q, want %q", line, code, stdout, want)
		}
	}
}
