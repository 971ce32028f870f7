package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// A notification of an unknown status names the node and what it said.
// Faults: U3.
func TestUnknownStatusIsExplainedByItsPublisher(t *testing.T) {
	env := Env{Events: published(Check{Node: "shop-1", Status: CheckUnknown, Age: 3 * time.Second, Error: "the database is being restored"})}
	p, err := New(Builtin(), "event", testkit.DecodeTOML("service = \"shop\"\ncheck = \"db\""), env)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Probe(t.Context())
	want := `check "db" of shop: the publisher reports UNKNOWN (UNKNOWN, published by "shop-1" 3s ago: the database is being restored)`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
