package access

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"testing"
	"time"
)

const localClient = "127.0.0.1:40000"

func TestAllowTable(t *testing.T) {
	for _, c := range []struct {
		token string
		need  Role
		want  error
	}{
		{"", None, nil}, {"wrong", None, nil}, {"look-and-see-all", None, nil},
		{"", Viewer, ErrUnauthorized}, {"wrong", Viewer, ErrUnauthorized}, {"look-and-see-all", Viewer, nil}, {"drive:now-and-then", Viewer, nil}, {"all~of!it~for+ever", Viewer, nil},
		{"", Operator, ErrUnauthorized}, {"wrong", Operator, ErrUnauthorized}, {"look-and-see-all", Operator, ErrForbidden}, {"drive:now-and-then", Operator, nil}, {"all~of!it~for+ever", Operator, nil},
		{"", Admin, ErrUnauthorized}, {"wrong", Admin, ErrUnauthorized}, {"look-and-see-all", Admin, ErrForbidden}, {"drive:now-and-then", Admin, ErrForbidden}, {"all~of!it~for+ever", Admin, nil},
	} {
		for _, insecure := range []bool{false, true} {
			d := NewDoor(Policy{Tokens: load(t), Insecure: insecure}, nil)
			if err := allow(d, c.need, c.token, localClient); !errors.Is(err, c.want) {
				t.Errorf("token %q, need %v, insecure %v: got %v, want %v", c.token, c.need, insecure, err, c.want)
			}
		}
	}
}

func TestAllowWithoutTokenFile(t *testing.T) {
	for _, need := range []Role{Viewer, Operator, Admin} {
		for _, token := range []string{"", "any"} {
			if err := allow(NewDoor(Policy{}, nil), need, token, localClient); !errors.Is(err, ErrNoToken) {
				t.Errorf("need %v: got %v, want %v", need, err, ErrNoToken)
			}
			for remote, want := range map[string]error{
				localClient: nil, "[::1]:5": nil, "127.9.9.9:1": nil, "[::ffff:127.0.0.1]:7": nil,
				"192.0.2.1:80": ErrForbidden, "[2001:db8::1]:80": ErrForbidden, "": ErrForbidden, "localhost:80": ErrForbidden, "@": ErrForbidden,
			} {
				if err := allow(NewDoor(Policy{Insecure: true}, nil), need, token, remote); !errors.Is(err, want) {
					t.Errorf("insecure, need %v, from %q: got %v, want %v", need, remote, err, want)
				}
			}
		}
	}
	if err := allow(NewDoor(Policy{}, nil), None, "", "192.0.2.1:80"); err != nil {
		t.Errorf("what needs no role: %v", err)
	}
}

// TestWrongAndMissingTokensTakeTheSameTime compares the means of many calls. Each
// wrong token comes from a new address, which is the most expensive case.
// Faults: T69.
func TestWrongAndMissingTokensTakeTheSameTime(t *testing.T) {
	const rounds, calls = 5, 1000
	best := math.Inf(1)
	for range rounds {
		d := open(t)
		var wrong, missing time.Duration
		for i := range calls {
			remote := fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)
			begin := time.Now()
			_ = allow(d, Admin, "wrong", remote)
			middle := time.Now()
			_ = allow(d, Admin, "", remote)
			wrong, missing = wrong+middle.Sub(begin), missing+time.Since(middle)
		}
		best = min(best, math.Abs(float64(wrong-missing))/calls)
	}
	if best >= float64(time.Millisecond) {
		t.Errorf("mean difference %v, want less than 1ms", time.Duration(best))
	}
	t.Logf("mean difference %v", time.Duration(best))
}

func TestOwnersDifferAndDoNotRevealTokens(t *testing.T) {
	p := Policy{Tokens: load(t)}
	all := map[string]bool{}
	for _, c := range []struct {
		role  Role
		token string
	}{{Viewer, "look-and-see-all"}, {Operator, "drive:now-and-then"}, {Admin, "all~of!it~for+ever"}, {Admin, "drive:now-and-then"}} {
		owner := p.Owner(c.role, c.token)
		if owner != p.Owner(c.role, c.token) || !regexp.MustCompile(`^`+c.role.String()+`:[0-9a-f]{16}$`).MatchString(owner) {
			t.Errorf("%v with %q: got the owner %q", c.role, c.token, owner)
		}
		all[owner] = true
	}
	if len(all) != 4 {
		t.Errorf("got the owners %v, want four", all)
	}
	if owner := (Policy{Insecure: true}).Owner(Admin, "some-token-that-nobody-knows"); owner != "" {
		t.Errorf("without tokens: got the owner %q, want none", owner)
	}
}
