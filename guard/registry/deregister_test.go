package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// withTwoNodes runs a registry on which the nodes a and b are registered.
func withTwoNodes(t *testing.T) (f *registrytest.Fake, r *guardregistry.Registry, stop func() time.Duration) {
	t.Helper()
	f = &registrytest.Fake{}
	r = guarded(f, nil)
	stop = testkit.Run(t, r)
	_ = r.Register(registrytest.Service("svc", "a", "b"))
	synctest.Wait()
	return f, r, stop
}

func TestRegistryDeregisterAllIsParallelAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{}
		r := guarded(f, nil)
		stop := testkit.Run(t, r)
		for i := range 20 {
			_ = r.Register(registrytest.Service("svc", fmt.Sprint("n", i)))
		}
		synctest.Wait()
		hang := make(chan struct{})
		f.Locked(func() { f.Block = hang })
		start := time.Now()
		err := r.DeregisterAll(context.Background())
		if took := time.Since(start); took > 2*time.Second || err == nil {
			t.Errorf("took %v, error %v: want an error within 2s", took, err)
		}
		if want := "fake at here: deregistering 20 nodes: no answer in time"; err.Error() != want {
			t.Errorf("error: got %q, want %q", err, want)
		}
		for i := range 20 {
			if f.Count(fmt.Sprint("deregister n", i)) != 1 {
				t.Errorf("node %d was not tried, or twice", i)
			}
		}
		if err := r.Register(registrytest.Service("svc", "late")); err != nil {
			t.Errorf("register after the end: %v", err)
		}
		close(hang)
		stop()
		if len(f.Services) != 0 {
			t.Errorf("left: %v", f.Services)
		}
	})
}

func TestRegistryRunDeregistersByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, stop := withTwoNodes(t)
		stop()
		if len(f.Services) != 0 || f.Count("deregister a") != 1 {
			t.Errorf("left: %v, calls %v", f.Services, f.Calls)
		}
		if _, err := r.GetService("svc"); err == nil {
			t.Error("a question after the end was answered")
		}
		if _, err := r.Watch(); err != registry.ErrWatcherStopped {
			t.Errorf("watch after the end: %v", err)
		}
		if err := r.DeregisterAll(context.Background()); err != nil {
			t.Errorf("DeregisterAll after the end: %v", err)
		}
	})
}

func TestRegistryQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{}
		r := guarded(f, nil)
		if _, err := r.GetService("svc"); err == nil || err.Error() != `looking up service "svc": fake at here: not opened yet` {
			t.Errorf("before Run: %v", err)
		}
		stop := testkit.Run(t, r)
		synctest.Wait()
		hang := make(chan struct{})
		f.Locked(func() { f.Block = hang })
		start := time.Now()
		_, err := r.GetService("svc")
		if took := time.Since(start); took != 2*time.Second || err == nil ||
			err.Error() != `looking up service "svc": fake at here: no answer within 2s` {
			t.Errorf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := r.ListServices(registry.ListContext(ctx)); err == nil {
			t.Error("the caller's context was not obeyed")
		}
		errs := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := r.GetService("svc")
				errs <- err
			}()
		}
		refused := 0
		for range 100 {
			if err := <-errs; strings.Contains(err.Error(), "64 queries are already in flight") {
				refused++
			}
		}
		if refused != 38 { // two wait from before
			t.Errorf("refused at once: %d, want 38", refused)
		}
		close(hang)
		stop()
	})
}

func TestRegistryPanicOfTheInnerOneIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{
			ErrOf: func(string) error { panic("inner") },
			Query: func() ([]*registry.Service, error) { panic("inner") },
		}
		r := guarded(f, nil)
		testkit.Run(t, r)
		_ = r.Register(registrytest.Service("svc", "a"))
		synctest.Wait()
		if s := r.State(); s.OK || !strings.Contains(s.Reason, "panic: inner") {
			t.Errorf("state %+v", s)
		}
		if _, err := r.GetService("svc"); err == nil || !strings.Contains(err.Error(), "panic: inner") {
			t.Errorf("question: %v", err)
		}
	})
}

func TestRegistryReasonHidesSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrytest.Fake{PingErr: fmt.Errorf("get https://user:hunter2@consul:8501/v1: no\nroute %s", strings.Repeat("x", 1000))}
		log := &testkit.LogBuffer{}
		r := guarded(f, func(cfg *guardregistry.Config) { cfg.Logger = log.Logger() })
		testkit.Run(t, r)
		time.Sleep(time.Minute)
		synctest.Wait()
		reason := r.State().Reason
		if strings.Contains(reason, "hunter2") || strings.Contains(reason, "\n") || len(reason) > 310 {
			t.Errorf("reason %q", reason)
		}
		if text := log.String(); strings.Contains(text, "hunter2") || strings.Count(text, "\n") != 1 {
			t.Errorf("log of a minute away:\n%s", text)
		}
	})
}

// A Register that is still on its way must not arrive after the removal.
func TestRegistryDeregisterAllWaitsForACallInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &registrytest.Fake{ErrOf: func(call string) error {
			if call == "register a" {
				<-hang
			}
			return nil
		}}
		r := guarded(f, nil)
		testkit.Run(t, r)
		_ = r.Register(registrytest.Service("svc", "a"))
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(hang) })
		if err := r.DeregisterAll(context.Background()); err != nil {
			t.Error(err)
		}
		if f.Has("a") || f.Count("deregister a") != 1 {
			t.Errorf("left: %v, calls %v", f.Services, f.Calls)
		}
	})
}

// What could not be removed is left alone until Run ends, without a busy loop.
func TestRegistryRestsAfterDeregisterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, r, stop := withTwoNodes(t)
		f.Locked(func() { f.Err = registrytest.ErrFake })
		err := r.DeregisterAll(context.Background())
		if want := "fake at here: deregistering 2 of 2 nodes: out of order"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		time.Sleep(time.Minute) // a loop without a pause would never let this pass
		stop()
		if got := f.Count("deregister a"); got != 1 {
			t.Errorf("deregistered %d times", got)
		}
	})
}
