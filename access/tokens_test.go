package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestTokensCarryTheirRoles(t *testing.T) {
	tokens := load(t)
	for token, want := range map[string]Role{
		"look-and-see-all": Viewer, "drive:now-and-then": Operator, "all~of!it~for+ever": Admin,
		"": None, "look-and-see-al": None, "look-and-see-all ": None, "LOOK-AND-SEE-ALL": None, "viewer:look-and-see-all": None, "drive": None,
	} {
		if got := tokens.Role(token); got != want {
			t.Errorf("role of %q: got %v, want %v", token, got, want)
		}
	}
}

// Faults: C04.
func TestTokenFilesOfWindowsEditorsAreRead(t *testing.T) {
	all, err := parseTokens("\ufeffadmin:kX9vQ2zL7hB4mW1s\r\n\r\nviewer:mW1skX9vQ2zL7hB4\r\n")
	if err != nil || len(all) != 2 || all[0].role != Admin {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestRolesHaveNames(t *testing.T) {
	for role, want := range map[Role]string{None: "none", Viewer: "viewer", Operator: "operator", Admin: "admin", 9: "none"} {
		if got := role.String(); got != want {
			t.Errorf("role %d: got %q, want %q", role, got, want)
		}
	}
	if got := roleNamed("none"); got != None {
		t.Errorf("a file cannot give the role none: got %v", got)
	}
}

func TestBadTokenFilesAreRefusedWithPlaceAndRemedy(t *testing.T) {
	const secret = "kX9vQ2zL7hB4mW1s"
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"empty":              {"", "it contains no token: give one role:token per line"},
		"comments only":      {"# admin:x\n\n", "it contains no token"},
		"no role":            {"viewer:a-good-long-token\n" + secret + "\n", "line 2: want role:token"},
		"unknown role":       {"root:" + secret, "line 1: want role:token, where role is viewer, operator or admin"},
		"the role none":      {"none:" + secret, "line 1: want role:token"},
		"role in capitals":   {"Admin:" + secret, "line 1: want role:token"},
		"secret with colon":  {secret + ":more", "line 1: want role:token"},
		"no token":           {"admin:", "line 1: the token is missing"},
		"too short":          {"viewer:" + secret + "\nadmin:" + secret[:15] + "\n", "line 2: the token is shorter than 16 bytes and could be guessed: create one with \"openssl rand -hex 32\""},
		"blank in token":     {"admin:" + secret + " " + secret, "line 1: the token contains a space"},
		"not ASCII":          {"admin:" + secret + "é", "not printable ASCII"},
		"control character":  {"admin:" + secret + "\x01x", "not printable ASCII"},
		"too long":           {"admin:" + strings.Repeat("k", maxTokenBytes+1), "longer than 1024 bytes"},
		"same token twice":   {"viewer:" + secret + "\nadmin:" + secret, "line 2: same token as in line 1"},
		"too many":           {manyTokens(maxTokens + 1), "line 1001: more than 1000 tokens"},
		"larger than a file": {strings.Repeat("# comment\n", maxFile/10+1), "larger than the limit of 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(testkit.TempFile(t, c.text, 0o600))
			wantError(t, err, "reading the token file", c.want)
			if strings.Contains(err.Error(), secret[:15]) {
				t.Errorf("error %q contains the token", err)
			}
		})
	}
}

func manyTokens(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "viewer:token-number-%06d\n", i)
	}
	return b.String()
}

func TestTokenFileOfOthersIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o777} {
		_, err := Load(testkit.TempFile(t, tokenFile, mode))
		wantError(t, err, "group or others may access it", fmt.Sprintf("mode %04o", mode), fmt.Sprintf("run chmod %04o to fix it", mode&^0o077))
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o700} {
		if _, err := Load(testkit.TempFile(t, tokenFile, mode)); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestTokenFileMustBeARegularFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	wantError(t, err, "not a regular file but a directory")
	pipe := filepath.Join(dir, "pipe")
	testkit.MakeFIFO(t, pipe)
	_, err = Load(pipe)
	wantError(t, err, "not a regular file but a named pipe: give the path of a regular file")
	_, err = Load(filepath.Join(dir, "absent"))
	wantError(t, err, "absent", "cannot open it")
	if !os.IsNotExist(underlying(err)) {
		t.Errorf("error %v does not wrap the cause", err)
	}
}

func underlying(err error) error {
	for {
		w, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = w.Unwrap()
	}
}

func TestReloadTakesNewTokensAndKeepsOldOnesOnError(t *testing.T) {
	file := testkit.TempFile(t, "admin:an-old-one-of-25-bytes", 0o600)
	tokens, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, file, "nonsense")
	wantError(t, tokens.Reload(), "line 1")
	if got := tokens.Role("an-old-one-of-25-bytes"); got != Admin {
		t.Errorf("after a failed reload: got %v, want admin", got)
	}
	testkit.WriteFile(t, file, "viewer:a-new-one-of-25-bytes\n")
	if err := tokens.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := tokens.Role("an-old-one-of-25-bytes"); got != None {
		t.Errorf("a removed token: got %v, want none", got)
	}
	if got := tokens.Role("a-new-one-of-25-bytes"); got != Viewer {
		t.Errorf("a new token: got %v, want viewer", got)
	}
}

// Faults: T44, I10.
func TestNoTokenIsPrinted(t *testing.T) {
	tokens := load(t)
	for _, text := range []string{tokens.String(), fmt.Sprint(tokens), fmt.Sprintf("%v %+v %#v", tokens, Policy{Tokens: tokens}, tokens)} {
		for _, secret := range []string{"look-and-see-all", "drive", "all~of!it~for+ever"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q contains the token %q", text, secret)
			}
		}
	}
	if got, want := tokens.String(), "3 tokens"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
