package probe

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestFactsAreThoseOfTheLastResponse(t *testing.T) {
	modified := time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
	mux := http.NewServeMux()
	mux.Handle("/one", http.RedirectHandler("/two", http.StatusFound))
	mux.Handle("/two", http.RedirectHandler("/end", http.StatusFound))
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusGone) })
	mux.HandleFunc("/end", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		_, _ = io.WriteString(w, "the end")
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	want := Facts{Status: 200, MajorHTTP: 1, MinorHTTP: 1, Redirects: 2, Length: 7, Size: 7, Modified: modified.Unix()}
	if got := ok(t, httpProbeOf(t, s.URL+"/one")).Facts; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r, err := run(t, httpProbeOf(t, s.URL+"/gone"), time.Second)
	if want := (Facts{Status: 410, MajorHTTP: 1, MinorHTTP: 1, Length: 5}); err == nil || r.Facts != want {
		t.Errorf("got %+v (%v), want %+v", r.Facts, err, want)
	}
}

// A certificate of a TLS server is a fact for every kind that sees it, also if something
// else fails.
func TestFactsOfTLSAreThoseOfTheCertificate(t *testing.T) {
	end := time.Now().Add(30 * 24 * time.Hour).Truncate(time.Second)
	cert, ca := testkit.SelfSigned(t, end)
	trust := fmt.Sprintf("tls = { ca_file = %q }", ca)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	web.StartTLS()
	defer web.Close()
	rpc := grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, health.NewServer()) }, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	for name, p := range map[string]Probe{
		"http":     httpProbeOf(t, web.URL, trust),
		"tcp":      tcpProbeOf(t, web.Listener.Addr().String(), trust),
		"tcp fail": tcpProbeOf(t, web.Listener.Addr().String(), trust, "send = \"x\\r\\n\\r\\n\"", "expect = \"never\""),
		"grpc":     grpcProbeOf(t, rpc, trust),
	} {
		r, _ := run(t, p, 5*time.Second)
		if f := r.Facts; f.TLS != tls.VersionTLS13 || f.FirstEnd != end.Unix() || f.ChainEnd != end.Unix() {
			t.Errorf("%s: got %+v, want the end %d", name, f, end.Unix())
		}
	}
	blind := httpProbeOf(t, web.URL, anyCertificate)
	if r, _ := run(t, blind, 5*time.Second); r.Facts.FirstEnd != end.Unix() || r.Facts.ChainEnd != 0 {
		t.Errorf("without verification: got %+v, want no chain", r.Facts)
	}
}
