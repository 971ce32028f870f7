package transport_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/transport"
	mtls "go-micro.dev/v4/util/tls"

	guardtransport "github.com/microhq/monitor-srv/guard/transport"
	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestTransportSpeaksTLS(t *testing.T) {
	testkit.NoLeaks(t)
	cert, err := mtls.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for name, c := range map[string]struct {
		server transport.Option
		client *tls.Config
	}{
		"configured":  {transport.TLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}), &tls.Config{RootCAs: roots}},
		"self-signed": {transport.Secure(true), &tls.Config{InsecureSkipVerify: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := guardtransport.New(guardtransport.Config{Log: testkit.QuietLog()})
			if err := tr.Init(c.server); err != nil {
				t.Fatal(err)
			}
			s := serve(t, tr)
			stock := newClient(t, client.Transport(transport.NewHTTPTransport(transport.TLSConfig(c.client))))
			if rsp, err := callProbe(stock, s.addr, "Echo", "hello"); err != nil || rsp.GetCursor() != "hello" {
				t.Errorf("got %v and error %v, want hello", rsp, err)
			}
			if _, err := callProbe(newClient(t), s.addr, "Echo", ""); err == nil {
				t.Error("a call in clear text was answered")
			}
			h2 := &http.Transport{TLSClientConfig: c.client.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: true}
			rsp, err := (&http.Client{Transport: h2}).Get("https://" + s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			if rsp.StatusCode != 405 || rsp.ProtoMajor != 1 {
				t.Errorf("got %s over %s, want 405 over HTTP/1.1", rsp.Status, rsp.Proto)
			}
		})
	}
}

func TestTransportListenErrors(t *testing.T) {
	testkit.NoLeaks(t)
	tr := guardtransport.New(guardtransport.Config{})
	first, err := tr.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := tr.Listen(first.Addr()); err == nil || !strings.Contains(err.Error(), `listening on "`+first.Addr()+`"`) {
		t.Errorf("got error %v for an address in use", err)
	}
	if _, err := tr.Listen("127.0.0.1:0", transport.NetListener(testkit.Listen(t))); err == nil || !strings.Contains(err.Error(), "transport.NetListener") {
		t.Errorf("got error %v, want one about NetListener", err)
	}
}
