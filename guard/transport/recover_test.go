package transport_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// fakeRequest is a request of which only the names are asked.
type fakeRequest struct {
	server.Request
	service string
}

func (r fakeRequest) Service() string         { return r.service }
func (fakeRequest) Endpoint() string          { return "Probe.Panic" }
func (fakeRequest) Header() map[string]string { return nil }

// Faults: I1.
func TestRecoverAnswersForAPanic(t *testing.T) {
	for service, want := range map[string]string{"go.micro.srv.sample": "go.micro.srv.sample", "": "go.micro.server"} {
		for _, cause := range []any{"secret", fmt.Errorf("secret"), 42, new(int)} {
			h := guardtransport.Recover(testkit.QuietLog())(func(context.Context, server.Request, any) error { panic(cause) })
			err := h(context.Background(), fakeRequest{service: service}, nil)
			e := errors.FromError(err)
			if e.GetId() != want || e.GetCode() != 500 || strings.Contains(e.GetDetail(), "secret") {
				t.Errorf("panic(%v): got error %v", cause, err)
			}
		}
	}
}

func TestRecoverLeavesTheRestAlone(t *testing.T) {
	for _, want := range []error{nil, fmt.Errorf("the handler's own")} {
		h := guardtransport.Recover(nil)(func(context.Context, server.Request, any) error { return want })
		if got := h(context.Background(), fakeRequest{}, nil); got != want {
			t.Errorf("got error %v, want %v", got, want)
		}
	}
}

func TestRecoverLogsOneStackInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.LogBuffer
		h := guardtransport.Recover(testkit.InfoTo(&log))(func(context.Context, server.Request, any) error { panic("secret") })
		call := func() { _ = h(context.Background(), fakeRequest{}, nil) }
		for range 100 {
			call()
		}
		time.Sleep(10*time.Second - time.Millisecond)
		call()
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "secret") || !strings.Contains(got, "recover_test.go") || strings.Contains(got, "suppressed") {
			t.Errorf("got log %s, want one line with the stack", got)
		}
		time.Sleep(time.Millisecond)
		call()
		if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "suppressed=100") {
			t.Errorf("got log %s, want a second line that tells of 100 others", got)
		}
	})
}

func TestTransportRecoverCountsPanics(t *testing.T) {
	testkit.NoLeaks(t)
	tr := guardtransport.New(guardtransport.Config{Log: testkit.QuietLog()})
	s := serve(t, tr, server.WrapHandler(tr.Recover()))
	for range 3 {
		post(t, s.addr, endpointHeader("Panic"), strings.NewReader("{}"))
	}
	post(t, s.addr, endpointHeader("Echo"), strings.NewReader("{}"))
	if got := tr.Counters(); got.Panics != 3 || got.Unanswered != 0 || got.Requests != 4 {
		t.Errorf("got %+v, want 3 panics, all answered", got)
	}
}
