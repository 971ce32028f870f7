package transport_test

import (
	"strings"
	"testing"

	"go-micro.dev/v4/server"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestCallsAreCountedByEndpointAndCode(t *testing.T) {
	testkit.NoLeaks(t)
	tr := guardtransport.New(guardtransport.Config{Log: testkit.QuietLog()})
	s := serve(t, tr, server.WrapHandler(tr.Recover()))
	for _, endpoint := range []string{"Echo", "Panic", "Echo", "Unknown"} {
		post(t, s.addr, endpointHeader(endpoint), strings.NewReader("{}"))
	}
	got := tr.Calls()
	if len(got) != 2 || got[0].Endpoint != "Probe.Echo" || got[0].Code != 200 || got[0].Count != 2 || got[0].Took <= 0 ||
		got[1].Endpoint != "Probe.Panic" || got[1].Code != 500 || got[1].Count != 1 {
		t.Errorf("got %+v, want two calls of Echo and a panic; an unknown method is none", got)
	}
}
