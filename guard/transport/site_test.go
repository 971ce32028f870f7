package transport_test

import (
	"strings"
	"testing"

	"go-micro.dev/v4/transport"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// Handlers learn whom the caller believes to speak to, and nobody else does.
// Faults: T70.
func TestHandlersLearnTheHost(t *testing.T) {
	testkit.NoLeaks(t)
	heard := make(chan map[string]string, 1)
	addr, _ := accept(t, guardtransport.Config{Log: testkit.QuietLog()}, func(s transport.Socket) {
		var m transport.Message
		if err := s.Recv(&m); err != nil {
			t.Error(err)
		}
		heard <- m.Header
		_ = s.Send(&m)
	})
	header := endpointHeader("Echo")
	header["Origin"], header["Sec-Fetch-Site"] = "http://evil.example", "cross-site"
	got := post(t, addr, header, strings.NewReader("{}"))
	if h := <-heard; h["Host"] != addr || h["Origin"] != "http://evil.example" || h["Sec-Fetch-Site"] != "cross-site" {
		t.Errorf("the handler got %v", h)
	}
	for _, key := range []string{"Host", "Origin", "Sec-Fetch-Site"} {
		if v := got.header.Get(key); v != "" {
			t.Errorf("the answer has %s: %s", key, v)
		}
	}
}
