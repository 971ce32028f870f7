package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
	"github.com/microhq/monitor-srv/internal/testkit"
)

func open(t testing.TB) *Door { return NewDoor(Policy{Tokens: load(t)}, nil) }

// Faults: S11.
func TestRightTokenPassesAfterAnyNumberOfWrongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, other := open(t), open(t)
		for i := range maxFailures {
			if err := allow(d, Viewer, fmt.Sprint("guess", i), localClient); !errors.Is(err, ErrUnauthorized) {
				t.Fatalf("guess %d: %v", i, err)
			}
			time.Sleep(2 * time.Second)
		}
		begin := time.Now()
		err := allow(d, Viewer, "guess", "127.0.0.1:5")
		var many *TooManyError
		if !errors.As(err, &many) || !errors.Is(err, ErrTooMany) {
			t.Fatalf("the sixth wrong token: got %v, want %v", err, ErrTooMany)
		}
		if took := time.Since(begin); took != guessDelay {
			t.Errorf("the sixth wrong token is answered after %v, want %v", took, guessDelay)
		}
		if want := 50 * time.Second; many.Wait != want {
			t.Errorf("wait: got %v, want %v", many.Wait, want)
		}
		wantError(t, err, "wait 51s")
		begin = time.Now()
		if err := allow(d, Viewer, "look-and-see-all", localClient); err != nil {
			t.Errorf("a right token after wrong ones: %v", err)
		}
		if err := allow(d, Viewer, "guess", "127.0.0.2:5"); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("another address: got %v, want %v", err, ErrUnauthorized)
		}
		if err := allow(other, Viewer, "guess", localClient); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("another door: got %v, want %v", err, ErrUnauthorized)
		}
		if time.Since(begin) != 0 {
			t.Errorf("those took %v", time.Since(begin))
		}
		time.Sleep(many.Wait)
		if err := allow(d, Viewer, "guess", localClient); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("a minute after the first: got %v, want %v", err, ErrUnauthorized)
		}
		// The other four still count: that was the fifth.
		if err := allow(d, Viewer, "guess", localClient); !errors.Is(err, ErrTooMany) {
			t.Errorf("got %v, want %v", err, ErrTooMany)
		}
	})
}

func TestFewAnswersAreDelayedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		for range maxFailures {
			_ = allow(d, Viewer, "guess", localClient)
		}
		begin := time.Now()
		testkit.Go(maxDelayed, func(int) { _ = allow(d, Viewer, "guess", localClient) })
		synctest.Wait()
		if err := allow(d, Viewer, "guess", localClient); !errors.Is(err, ErrTooMany) || time.Since(begin) != 0 {
			t.Errorf("one more: %v after %v, want %v at once", err, time.Since(begin), ErrTooMany)
		}
		time.Sleep(guessDelay)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Allow(ctx, Viewer, "guess", localClient); !errors.Is(err, ErrTooMany) || time.Since(begin) != guessDelay {
			t.Errorf("a client that has left is waited for: %v after %v", err, time.Since(begin))
		}
	})
}

func TestCallsWithoutATokenAreNoGuesses(t *testing.T) {
	d := open(t)
	for range 100 {
		if err := allow(d, Admin, "", localClient); !errors.Is(err, ErrUnauthorized) {
			t.Fatal(err)
		}
		if err := allow(d, Admin, "look-and-see-all", localClient); !errors.Is(err, ErrForbidden) {
			t.Fatal(err)
		}
	}
	if err := allow(d, Admin, "guess", localClient); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("the first guess: got %v, want %v", err, ErrUnauthorized)
	}
}

func TestNeighboursOfIPv6CountAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		for i := range maxFailures {
			_ = allow(d, Viewer, "guess", fmt.Sprintf("[2001:db8:0:1::%d]:80", i+1))
		}
		if err := allow(d, Viewer, "guess", "[2001:db8:0:1:ffff::9]:80"); !errors.Is(err, ErrTooMany) {
			t.Errorf("the same /64: got %v, want %v", err, ErrTooMany)
		}
		if err := allow(d, Viewer, "guess", "[2001:db8:0:2::1]:80"); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("another /64: got %v, want %v", err, ErrUnauthorized)
		}
	})
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t)
		address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d:80", i>>16&255, i>>8&255, i&255) }
		for i := range maxAddresses + 100 {
			_ = allow(d, Viewer, "guess", address(i))
			time.Sleep(time.Millisecond)
		}
		if got := len(d.failures.recent); got != maxAddresses {
			t.Errorf("addresses held: got %d, want %d", got, maxAddresses)
		}
		if _, ok := d.failures.recent[connlimit.Source(address(0))]; ok {
			t.Error("the oldest is still held, a newer one was forgotten")
		}
		time.Sleep(failureWindow)
		_ = allow(d, Viewer, "guess", "192.0.2.1:80")
		if got := len(d.failures.recent); got != 1 {
			t.Errorf("after a minute: got %d addresses, want 1", got)
		}
	})
}

// Lines of one kind that callers cause stay below 60 in any minute.
// Faults: S10.
func TestCallersFloodNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out testkit.LogBuffer
		log := NewLog(out.Logger())
		doors := []*Door{NewDoor(Policy{Tokens: load(t)}, log), NewDoor(Policy{Tokens: load(t)}, log)}
		kinds := map[string][]time.Time{}
		note := func(kind string, do func()) {
			before := strings.Count(out.String(), "\n")
			do()
			for range strings.Count(out.String(), "\n") - before {
				kinds[kind] = append(kinds[kind], time.Now())
			}
		}
		for i := range 6000 {
			remote := fmt.Sprintf("127.0.%d.%d:1", i/250%6, i%250)
			note("wrong token", func() { _ = allow(doors[i%2], Admin, fmt.Sprint("guess", i), remote) })
			note("started", func() { log.Changed(0, "monitor started", Caller{Role: Operator, Remote: remote}, "id", i) })
			time.Sleep(time.Minute / 2000)
		}
		for kind, at := range kinds {
			for i, begin := range at {
				if i+60 < len(at) && at[i+60].Sub(begin) < time.Minute {
					t.Fatalf("%s: 60 lines and more in the minute from line %d", kind, i)
				}
			}
			if len(at) < 3*maxLines {
				t.Errorf("%s: %d lines in three minutes, want %d", kind, len(at), 3*maxLines)
			}
		}
		if text := out.String(); !strings.Contains(text, "suppressed=") || !strings.Contains(text, "role=operator") || strings.Contains(text, "guess") {
			t.Errorf("the log does not tell what was suppressed and by whom, or tells tokens: %.500s", text)
		}
	})
}
