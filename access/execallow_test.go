package access

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestExecAllowFile(t *testing.T) {
	list, err := LoadExecAllow(testkit.TempFile(t, `# checks
/bin/true
/usr/bin/check_disk -w 10% -p "/srv/a b"
	/bin/echo ""	"say \"hi\"\n" it's
`, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"/bin/true"},
		{"/usr/bin/check_disk", "-w", "10%", "-p", "/srv/a b"},
		{"/bin/echo", "", "say \"hi\"\n", "it's"},
	}
	if !reflect.DeepEqual(list.entries, want) {
		t.Errorf("got %q, want %q", list.entries, want)
	}
	for _, argv := range want {
		if !list.Permits(argv) {
			t.Errorf("%q is refused", argv)
		}
	}
	for _, argv := range [][]string{nil, {}, {""}, {"/bin/true", ""}, {"/bin/echo", "", "say \"hi\"\n"}, {"/usr/bin/check_disk", "-w", "10%", "-p", "/srv/a", "b"}} {
		if list.Permits(argv) {
			t.Errorf("%q is permitted", argv)
		}
	}
}

func TestEmptyExecAllowPermitsNothing(t *testing.T) {
	list, err := LoadExecAllow(testkit.TempFile(t, "", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{nil, {""}, {"/bin/true"}} {
		if list.Permits(argv) {
			t.Errorf("%q is permitted", argv)
		}
	}
}

func TestBadExecAllowFiles(t *testing.T) {
	for text, want := range map[string]string{
		"true":                            `line 1: the command "true" is not an absolute path`,
		"/bin/true\n./x":                  "line 2",
		"/bin/../sbin/x":                  "or contains . or .. elements",
		"/bin//true":                      "absolute path",
		"/":                               "absolute path",
		`/bin/echo a"b"`:                  "quote the whole word",
		`/bin/echo "a`:                    "unclosed quotes",
		`/bin/echo "a"b`:                  "missing space",
		`/bin/echo "\x00"`:                "NUL byte",
		"\"/bin/echo\nx\" y":              "unclosed quotes",
		`"" x`:                            "absolute path",
		`/bin/echo "` + "\xff" + `" "\q"`: "unclosed quotes",
	} {
		_, err := LoadExecAllow(testkit.TempFile(t, text, 0o600))
		wantError(t, err, "reading the list of commands", want)
	}
	_, err := LoadExecAllow(testkit.TempFile(t, "/bin/true", 0o664))
	wantError(t, err, "mode 0664", "run chmod 0644 to fix it")
}

// FuzzExecAllow compares Permits with a simpler implementation: a command is permitted
// only if it is an entry of the list.
// Faults: T73.
func FuzzExecAllow(f *testing.F) {
	f.Add("/bin/true", "/bin/true")
	f.Add("/bin/echo \"a b\" c\n# x\n/bin/ls", "/bin/echo\na b\nc")
	f.Add("/bin/echo a b", "/bin/echo\na b")
	f.Add("/bin/sh -c \"id\"", "/bin/sh\n-c\nid;reboot")
	f.Add("/bin/echo \"\"", "/bin/echo\n")
	f.Add("/bin/echo", "/bin/echo\n")
	f.Fuzz(func(t *testing.T, text, command string) {
		list, err := parseExecAllow(text)
		if err != nil {
			return
		}
		argv := strings.Split(command, "\n")
		entry := slices.ContainsFunc(list.entries, func(e []string) bool {
			return strconv.Itoa(len(e))+" "+strings.Join(quoted(e), " ") == strconv.Itoa(len(argv))+" "+strings.Join(quoted(argv), " ")
		})
		if got := list.Permits(argv); got != entry {
			t.Fatalf("list %q, argv %q: permitted %v, want %v", list.entries, argv, got, entry)
		}
		for _, e := range list.entries {
			if !strings.HasPrefix(e[0], "/") {
				t.Fatalf("entry %q is not an absolute path", e)
			}
			again, err := parseExecAllow(strings.Join(quoted(e), " "))
			if err != nil || len(again.entries) != 1 || !slices.Equal(again.entries[0], e) {
				t.Fatalf("entry %q written again reads %v, %v", e, again, err)
			}
			if !list.Permits(e) || list.Permits(append(slices.Clone(e), "x", "y", "z", command, text, "more")) {
				t.Fatalf("entry %q: itself refused or more permitted", e)
			}
		}
	})
}

func quoted(argv []string) []string {
	var all []string
	for _, a := range argv {
		all = append(all, strconv.Quote(a))
	}
	return all
}
