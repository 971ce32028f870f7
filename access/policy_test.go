package access

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"testing"
	"testing/synctest"
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
			p := Policy{Tokens: load(t), Insecure: insecure}
			if err := p.Allow(c.need, c.token, localClient); !errors.Is(err, c.want) {
				t.Errorf("token %q, need %v, insecure %v: got %v, want %v", c.token, c.need, insecure, err, c.want)
			}
		}
	}
}

func TestAllowWithoutTokenFile(t *testing.T) {
	for _, need := range []Role{Viewer, Operator, Admin} {
		for _, token := range []string{"", "any"} {
			if err := (Policy{}).Allow(need, token, localClient); !errors.Is(err, ErrNoToken) {
				t.Errorf("need %v: got %v, want %v", need, err, ErrNoToken)
			}
			for remote, want := range map[string]error{
				localClient: nil, "[::1]:5": nil, "127.9.9.9:1": nil, "[::ffff:127.0.0.1]:7": nil,
				"192.0.2.1:80": ErrForbidden, "[2001:db8::1]:80": ErrForbidden, "": ErrForbidden, "localhost:80": ErrForbidden, "@": ErrForbidden,
			} {
				if err := (Policy{Insecure: true}).Allow(need, token, remote); !errors.Is(err, want) {
					t.Errorf("insecure, need %v, from %q: got %v, want %v", need, remote, err, want)
				}
			}
		}
	}
	if err := (Policy{}).Allow(None, "", "192.0.2.1:80"); err != nil {
		t.Errorf("what needs no role: %v", err)
	}
}

func TestFiveWrongTokensAMinuteAreTheLastFromAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Tokens: load(t)}
		for i := range maxFailures {
			if err := p.Allow(Viewer, fmt.Sprint("guess", i), localClient); !errors.Is(err, ErrUnauthorized) {
				t.Fatalf("guess %d: %v", i, err)
			}
			time.Sleep(2 * time.Second)
		}
		err := p.Allow(Viewer, "look-and-see-all", "127.0.0.1:5")
		var many *TooManyError
		if !errors.As(err, &many) || !errors.Is(err, ErrTooMany) {
			t.Fatalf("a right token after five wrong ones: got %v, want %v", err, ErrTooMany)
		}
		if want := 50 * time.Second; many.Wait != want {
			t.Errorf("wait: got %v, want %v", many.Wait, want)
		}
		wantError(t, err, "wait 51s")
		if err := p.Allow(Viewer, "look-and-see-all", "127.0.0.2:5"); err != nil {
			t.Errorf("another address: %v", err)
		}
		if err := p.Allow(None, "", localClient); err != nil {
			t.Errorf("what needs no role: %v", err)
		}
		time.Sleep(many.Wait)
		if err := p.Allow(Viewer, "look-and-see-all", localClient); err != nil {
			t.Errorf("a minute after the first wrong one: %v", err)
		}
		// The other four still count: one more wrong one is the fifth.
		if err := p.Allow(Viewer, "guess", localClient); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("got %v, want %v", err, ErrUnauthorized)
		}
		if err := p.Allow(Viewer, "look-and-see-all", localClient); !errors.Is(err, ErrTooMany) {
			t.Errorf("got %v, want %v", err, ErrTooMany)
		}
	})
}

func TestCallsWithoutATokenLockNobodyOut(t *testing.T) {
	p := Policy{Tokens: load(t)}
	for range 100 {
		if err := p.Allow(Admin, "", localClient); !errors.Is(err, ErrUnauthorized) {
			t.Fatal(err)
		}
		if err := p.Allow(Admin, "look-and-see-all", localClient); !errors.Is(err, ErrForbidden) {
			t.Fatal(err)
		}
	}
}

func TestNeighboursOfIPv6CountAsOne(t *testing.T) {
	p := Policy{Tokens: load(t)}
	for i := range maxFailures {
		_ = p.Allow(Viewer, "guess", fmt.Sprintf("[2001:db8:0:1::%d]:80", i+1))
	}
	if err := p.Allow(Viewer, "look-and-see-all", "[2001:db8:0:1:ffff::9]:80"); !errors.Is(err, ErrTooMany) {
		t.Errorf("the same /64: got %v, want %v", err, ErrTooMany)
	}
	if err := p.Allow(Viewer, "look-and-see-all", "[2001:db8:0:2::1]:80"); err != nil {
		t.Errorf("another /64: %v", err)
	}
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Tokens: load(t)}
		address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d:80", i>>16&255, i>>8&255, i&255) }
		for i := range maxAddresses + 100 {
			_ = p.Allow(Viewer, "guess", address(i))
			time.Sleep(time.Millisecond)
		}
		if got := len(p.Tokens.failures.recent); got != maxAddresses {
			t.Errorf("addresses held: got %d, want %d", got, maxAddresses)
		}
		if _, ok := p.Tokens.failures.recent[Source(address(0))]; ok {
			t.Error("the oldest is still held, a newer one was forgotten")
		}
		time.Sleep(failureWindow)
		_ = p.Allow(Viewer, "guess", "192.0.2.1:80")
		if got := len(p.Tokens.failures.recent); got != 1 {
			t.Errorf("after a minute: got %d addresses, want 1", got)
		}
	})
}

// TestWrongAndMissingTokensTakeTheSameTime compares the means of many calls. Each
// wrong token comes from a new address, which is the most expensive case.
// Faults: T69.
func TestWrongAndMissingTokensTakeTheSameTime(t *testing.T) {
	const rounds, calls = 5, 1000
	best := math.Inf(1)
	for range rounds {
		p := Policy{Tokens: load(t)}
		var wrong, missing time.Duration
		for i := range calls {
			remote := fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)
			begin := time.Now()
			_ = p.Allow(Admin, "wrong", remote)
			middle := time.Now()
			_ = p.Allow(Admin, "", remote)
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
