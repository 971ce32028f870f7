package access

import (
	"context"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

const tokenFile = `# tokens of the tests
viewer:look-and-see-all

operator:drive:now-and-then
admin: all~of!it~for+ever
`

func load(t testing.TB) *Tokens {
	t.Helper()
	tokens, err := Load(testkit.TempFile(t, tokenFile, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func allow(d *Door, need Role, token, remote string) error {
	return d.Allow(context.Background(), need, token, remote)
}
