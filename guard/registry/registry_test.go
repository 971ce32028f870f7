package registry_test

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
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// guarded guards f, which opens at once.
func guarded(f *registrytest.Fake, change func(*guardregistry.Config)) *guardregistry.Registry {
	cfg := guardregistry.Config{
		Name:    "fake",
		Address: "here",
		Open:    func(context.Context) (registry.Registry, error) { return f, nil },
		Logger:  testkit.QuietLog(),
	}
	if change != nil {
		change(&cfg)
	}
	return guardregistry.New(cfg)
}

func TestRegistryHoldsWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{}
		r := guarded(f, nil)
		if s := r.State(); s.OK || s.Reason != "fake at here: not opened yet" {
			t.Errorf("before Run: state %+v", s)
		}
		testkit.Run(t, r)
		service := registrytest.Service("svc", "a", "b")
		if err := r.Register(service, registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		service.Nodes[0].Address = "changed later"
		synctest.Wait()
		if !f.Has("a") || !f.Has("b") {
			t.Fatalf("not registered at once: %v", f.Calls)
		}
		if got := f.Services["a"].Nodes[0].Address; got != "127.0.0.1:1" {
			t.Errorf("the caller's later change came through: address %q", got)
		}
		if f.TTLs["a"] != 20*time.Second {
			t.Errorf("ttl: got %v, want 20s", f.TTLs["a"])
		}
		if s := r.State(); !s.OK || s.Reason != "" {
			t.Errorf("state %+v, want OK", s)
		}
		if err := r.Deregister(registrytest.Service("svc", "a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if f.Has("a") || !f.Has("b") {
			t.Errorf("deregister took the wrong node: %v", f.Calls)
		}
	})
}

func TestRegistryRenewsAsLongAsTheOwnerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{}
		r := guarded(f, nil)
		testkit.Run(t, r)
		if err := r.Register(registrytest.Service("svc", "a"), registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := r.Register(registrytest.Service("svc", "forever")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		// Once at the call, then each 5 s; at 20 s it is still the owner's, at 25 s not.
		if got := f.Count("register a"); got != 5 {
			t.Errorf("renewals of an owner that stopped asking: got %d, want 5", got)
		}
		if got := f.Count("register forever"); got != 13 {
			t.Errorf("renewals without TTL in a minute: got %d, want 13", got)
		}
		want := `fake at here: registering "a": its owner has not renewed it within 20s`
		if s := r.State(); s.OK || s.Reason != want {
			t.Errorf("state: got %+v, want reason %q", s, want)
		}
		if err := r.Register(registrytest.Service("svc", "a"), registry.RegisterTTL(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.Count("register a"); got != 6 || !r.State().OK {
			t.Errorf("after the owner came back: %d calls, state %+v", got, r.State())
		}
	})
}

func TestRegistryRetriesWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{Err: registrytest.ErrFake}
		r := guarded(f, nil)
		testkit.Run(t, r)
		if err := r.Register(registrytest.Service("svc", "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != `fake at here: registering "a": out of order` {
			t.Errorf("state %+v", s)
		}
		var gaps []time.Duration
		f.Locked(func() {
			for i := 1; i < len(f.CallTimes); i++ {
				gaps = append(gaps, f.CallTimes[i].Sub(f.CallTimes[i-1]))
			}
			f.Err = nil
		})
		if len(gaps) < 20 || slices.Min(gaps) < 750*time.Millisecond || slices.Max(gaps) > 5*time.Second {
			t.Errorf("gaps: %d from %v to %v, want 20 or more from 0.75s to 5s", len(gaps), slices.Min(gaps), slices.Max(gaps))
		}
		if slices.Equal(gaps[3:5], gaps[4:6]) {
			t.Errorf("gaps without jitter: %v", gaps)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !f.Has("a") || !r.State().OK {
			t.Errorf("not registered 5s after the return: state %+v", r.State())
		}
	})
}

func TestRegistryNewestWishWinsOverACallInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &registrytest.Fake{Block: hang}
		r := guarded(f, nil)
		testkit.Run(t, r)
		for range 3 { // none of these may wait
			if err := r.Register(registrytest.Service("svc", "a")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := r.Deregister(registrytest.Service("svc", "a")); err != nil {
			t.Fatal(err)
		}
		f.Locked(func() { f.Block = nil })
		close(hang)
		synctest.Wait()
		if f.Has("a") {
			t.Errorf("the older request won: %v", f.Calls)
		}
		if got := f.Count("deregister a"); got != 1 {
			t.Errorf("deregistered %d times", got)
		}
	})
}

func TestRegistryForgetsANodeThatNeverArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		f := &registrytest.Fake{}
		r := guarded(f, func(cfg *guardregistry.Config) {
			cfg.Open = func(ctx context.Context) (registry.Registry, error) {
				select {
				case <-open:
					return f, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		})
		testkit.Run(t, r)
		_ = r.Register(registrytest.Service("svc", "a"))
		_ = r.Deregister(registrytest.Service("svc", "a"))
		close(open)
		synctest.Wait()
		if len(f.Calls) != 0 {
			t.Errorf("calls for a node that came and went before: %v", f.Calls)
		}
		_ = r.Deregister(registrytest.Service("svc", "of another life"))
		synctest.Wait()
		if got := f.Count("deregister of another life"); got != 1 {
			t.Errorf("a node that was not registered here: deregistered %d times, want 1", got)
		}
	})
}

func TestRegistryRefusesWhatNoRegistryTakes(t *testing.T) {
	r := guarded(&registrytest.Fake{}, nil)
	for _, s := range []*registry.Service{nil, {}, {Name: "svc"}, registrytest.Service("svc", ""), {Name: "svc", Nodes: []*registry.Node{nil}}} {
		if r.Register(s) == nil || r.Deregister(s) == nil {
			t.Errorf("service %+v: no error", s)
		}
	}
	var err error
	for i := 0; err == nil && i < 5000; i++ {
		err = r.Register(registrytest.Service("svc", fmt.Sprint("node-", i)))
	}
	testkit.WantError(t, err, "1024 nodes are already registered")
}

func TestRegistryPingDecidesTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{PingErr: registrytest.ErrFake}
		r := guarded(f, nil)
		testkit.Run(t, r)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "fake at here: out of order" {
			t.Errorf("state %+v", s)
		}
		since := r.State().Since
		time.Sleep(10 * time.Second)
		f.Locked(func() { f.PingErr = nil })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := r.State(); !s.OK || !s.Since.After(since) {
			t.Errorf("5s after the return: state %+v", s)
		}
	})
}

func TestRegistryOpensInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{}
		tries := 0
		r := guarded(f, func(cfg *guardregistry.Config) {
			cfg.Open = func(context.Context) (registry.Registry, error) {
				if tries++; tries < 4 {
					return nil, registrytest.ErrFake
				}
				return f, nil
			}
		})
		stop := testkit.Run(t, r)
		_ = r.Register(registrytest.Service("svc", "a"))
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "fake at here: out of order" {
			t.Errorf("state %+v", s)
		}
		_, err := r.GetService("svc")
		testkit.WantError(t, err, "out of order")
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if !f.Has("a") || !r.State().OK {
			t.Errorf("after 7s and %d tries: %v, %+v", tries, f.Calls, r.State())
		}
		stop()

		never := guarded(f, func(cfg *guardregistry.Config) {
			cfg.Open = func(ctx context.Context) (registry.Registry, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		stop = testkit.Run(t, never)
		_ = never.Register(registrytest.Service("svc", "b"))
		synctest.Wait()
		if took := stop(); took != 0 {
			t.Errorf("stop while opening took %v", took)
		}
	})
}

func TestRegistryOptionsAreFixedAtStart(t *testing.T) {
	r := guarded(&registrytest.Fake{}, nil)
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
		r := guardregistry.New(guardregistry.Config{Name: "mdns", Logger: testkit.QuietLog()})
		if s := r.State(); s.Reason != "mdns: not opened yet" {
			t.Errorf("reason %q", s.Reason)
		}
		testkit.Run(t, r)
		synctest.Wait()
		if s := r.State(); s.OK || s.Reason != "mdns: no registry is configured" {
			t.Errorf("state %+v", s)
		}
	})
}

func TestOptionalRegistrationThatFailsLeavesTheRegistryAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{ErrOf: func(call string) error {
			if call == "register older" {
				return registrytest.ErrFake
			}
			return nil
		}}
		log := &testkit.LogBuffer{}
		r := guarded(f, func(cfg *guardregistry.Config) { cfg.Logger = log.Logger() })
		testkit.Run(t, r)
		for id, opts := range map[string][]registry.RegisterOption{"today": nil, "older": {guard.Optional}} {
			if err := r.Register(registrytest.Service("svc", id), opts...); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if s := r.State(); !s.OK || !f.Has("today") || f.Has("older") {
			t.Errorf("state %+v", s)
		}
		if text := log.String(); strings.Count(text, "an optional registration failed") != 1 || !strings.Contains(text, "node=older") {
			t.Errorf("log:\n%s", text)
		}
		f.Locked(func() { f.ErrOf = nil })
		time.Sleep(5 * time.Second)
		if !f.Has("older") {
			t.Error("it is not repeated")
		}
	})
}
