package guard_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/registry"

	"github.com/microhq/monitor-srv/guard"
)

func TestRegistryHoldsWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &FakeRegistry{}
		r := regOf(f, nil)
		if s := r.State(); s.OK || s.Reason != "fake at here: not opened yet" {
			t.Errorf("before Run: state %+v", s)
		}
		Run(t, r)
		service := NewService("svc", "a", "b")
		if err := r.Register(service, registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		service.Nodes[0].Address = "changed later"
		synctest.Wait()
		if !f.has("a") || !f.has("b") {
			t.Fatalf("not registered at once: %v", f.calls)
		}
		if got := f.held["a"].Nodes[0].Address; got != "127.0.0.1:1" {
			t.Errorf("the caller's later change came through: address %q", got)
		}
		if f.ttl["a"] != 20*time.Second {
			t.Errorf("ttl: got %v, want 20s", f.ttl["a"])
		}
		if s := r.State(); !s.OK || s.Reason != "" {
			t.Errorf("state %+v, want OK", s)
		}
		if err := r.Deregister(NewService("svc", "a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if f.has("a") || !f.has("b") {
			t.Errorf("deregister took the wrong node: %v", f.calls)
		}
	})
}

func TestRegistryRenewsAsLongAsTheOwnerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &FakeRegistry{}
		r := regOf(f, nil)
		Run(t, r)
		if err := r.Register(NewService("svc", "a"), registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := r.Register(NewService("svc", "forever")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		// Once at the call, then each 5 s; at 20 s it is still the owner's, at 25 s not.
		if got := f.count("register a"); got != 5 {
			t.Errorf("renewals of an owner that stopped asking: got %d, want 5", got)
		}
		if got := f.count("register forever"); got != 13 {
			t.Errorf("renewals without TTL in a minute: got %d, want 13", got)
		}
		want := `fake at here: registering "a": its owner has not renewed it within 20s`
		if s := r.State(); s.OK || s.Reason != want {
			t.Errorf("state: got %+v, want reason %q", s, want)
		}
		if err := r.Register(NewService("svc", "a"), registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.count("register a"); got != 6 || !r.State().OK {
			t.Errorf("after the owner came back: %d calls, state %+v", got, r.State())
		}
	})
}

func TestRegistryRetriesWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &FakeRegistry{fail: ErrFake}
		r := regOf(f, nil)
		Run(t, r)
		if err := r.Register(NewService("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != `fake at here: registering "a": out of order` {
			t.Errorf("state %+v", s)
		}
		f.mu.Lock()
		gaps := make([]time.Duration, 0, len(f.at))
		for i := 1; i < len(f.at); i++ {
			gaps = append(gaps, f.at[i].Sub(f.at[i-1]))
		}
		f.fail = nil
		f.mu.Unlock()
		if len(gaps) < 20 || slices.Min(gaps) < 750*time.Millisecond || slices.Max(gaps) > 5*time.Second {
			t.Errorf("gaps: %d from %v to %v, want 20 or more from 0.75s to 5s", len(gaps), slices.Min(gaps), slices.Max(gaps))
		}
		if slices.Equal(gaps[3:5], gaps[4:6]) {
			t.Errorf("gaps without jitter: %v", gaps)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !f.has("a") || !r.State().OK {
			t.Errorf("not registered 5s after the return: state %+v", r.State())
		}
	})
}

func TestRegistryNewestWishWinsOverACallInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &FakeRegistry{hang: hang}
		r := regOf(f, nil)
		Run(t, r)
		for range 3 { // none of these may wait
			if err := r.Register(NewService("svc", "a")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := r.Deregister(NewService("svc", "a")); err != nil {
			t.Fatal(err)
		}
		f.set(func() { f.hang = nil })
		close(hang)
		synctest.Wait()
		if f.has("a") {
			t.Errorf("the older wish won: %v", f.calls)
		}
		if got := f.count("deregister a"); got != 1 {
			t.Errorf("deregistered %d times", got)
		}
	})
}

func TestRegistryForgetsANodeThatNeverArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		f := &FakeRegistry{}
		r := regOf(f, func(cfg *guard.RegistryConfig) {
			cfg.Open = func(ctx context.Context) (registry.Registry, error) {
				select {
				case <-open:
					return f, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		})
		Run(t, r)
		_ = r.Register(NewService("svc", "a"))
		_ = r.Deregister(NewService("svc", "a"))
		close(open)
		synctest.Wait()
		if len(f.calls) != 0 {
			t.Errorf("calls for a node that came and went before: %v", f.calls)
		}
		_ = r.Deregister(NewService("svc", "of another life"))
		synctest.Wait()
		if got := f.count("deregister of another life"); got != 1 {
			t.Errorf("a node that was not registered here: deregistered %d times, want 1", got)
		}
	})
}

func TestRegistryRefusesWhatNoRegistryTakes(t *testing.T) {
	r := regOf(&FakeRegistry{}, nil)
	for _, s := range []*registry.Service{nil, {}, {Name: "svc"}, NewService("svc", ""), {Name: "svc", Nodes: []*registry.Node{nil}}} {
		if r.Register(s) == nil || r.Deregister(s) == nil {
			t.Errorf("service %+v: no error", s)
		}
	}
	var err error
	for i := 0; err == nil && i < 5000; i++ {
		err = r.Register(NewService("svc", fmt.Sprint("node-", i)))
	}
	if err == nil || !strings.Contains(err.Error(), "1024 nodes are registered already") {
		t.Errorf("endless nodes: %v", err)
	}
}

func TestRegistryPingDecidesTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &FakeRegistry{pingErr: ErrFake}
		r := regOf(f, nil)
		Run(t, r)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "fake at here: out of order" {
			t.Errorf("state %+v", s)
		}
		since := r.State().Since
		time.Sleep(10 * time.Second)
		f.set(func() { f.pingErr = nil })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := r.State(); !s.OK || !s.Since.After(since) {
			t.Errorf("5s after the return: state %+v", s)
		}
	})
}

func TestRegistryOpensInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &FakeRegistry{}
		tries := 0
		r := regOf(f, func(cfg *guard.RegistryConfig) {
			cfg.Open = func(context.Context) (registry.Registry, error) {
				if tries++; tries < 4 {
					return nil, ErrFake
				}
				return f, nil
			}
		})
		stop := Run(t, r)
		_ = r.Register(NewService("svc", "a"))
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "fake at here: out of order" {
			t.Errorf("state %+v", s)
		}
		if _, err := r.GetService("svc"); err == nil || !strings.Contains(err.Error(), "out of order") {
			t.Errorf("question: %v", err)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if !f.has("a") || !r.State().OK {
			t.Errorf("after 7s and %d tries: %v, %+v", tries, f.calls, r.State())
		}
		stop()

		never := regOf(f, func(cfg *guard.RegistryConfig) {
			cfg.Open = func(ctx context.Context) (registry.Registry, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		stop = Run(t, never)
		_ = never.Register(NewService("svc", "b"))
		synctest.Wait()
		if took := stop(); took != 0 {
			t.Errorf("stop while opening took %v", took)
		}
	})
}

func TestRegistryOptionsAreFixedAtStart(t *testing.T) {
	r := regOf(&FakeRegistry{}, nil)
	if r.String() != "fake" || !slices.Equal(r.Options().Addrs, []string{"here"}) {
		t.Errorf("got %q, %v", r.String(), r.Options().Addrs)
	}
	if err := r.Init(registry.Timeout(time.Second)); err != nil || r.Options().Timeout != time.Second {
		t.Errorf("Init: %v, options %+v", err, r.Options())
	}
	if err := r.Init(registry.Addrs("elsewhere")); err == nil {
		t.Error("the address was changed")
	}
}

func TestRegistryWithoutAnythingToOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := guard.NewRegistry(guard.RegistryConfig{Name: "mdns", Logger: QuietLog()})
		if s := r.State(); s.Reason != "mdns: not opened yet" {
			t.Errorf("reason %q", s.Reason)
		}
		Run(t, r)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "mdns: there is nothing to open" {
			t.Errorf("state %+v", s)
		}
	})
}
