package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func grpcProbeOf(tb testing.TB, address string, keys ...string) Probe {
	return probeAt(tb, "grpc", address, keys)
}

// grpcServer starts a server with the registered services and returns its address.
func grpcServer(tb testing.TB, register func(*grpc.Server), options ...grpc.ServerOption) string {
	tb.Helper()
	s := grpc.NewServer(options...)
	register(s)
	l := testkit.Listen(tb)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	tb.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

func TestGRPCHealth(t *testing.T) {
	h := health.NewServer()
	h.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	address := grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, h) })
	if r := ok(t, grpcProbeOf(t, address)); r.Value != 0 || r.Detail != "SERVING" {
		t.Errorf("%+v, want 0 and SERVING", r)
	}
	if r := ok(t, grpcProbeOf(t, address, `measure = "latency"`)); r.Value <= 0 || r.Value > 5 {
		t.Errorf("latency %v", r.Value)
	}
	shop := grpcProbeOf(t, address, `service = "shop"`)
	fails(t, shop, `service "shop" is NOT_SERVING, want SERVING`)
	h.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_SERVING)
	ok(t, shop) // at once
	fails(t, grpcProbeOf(t, address, `service = "none"`), `the server does not know the service "none"`)
	bare := grpcServer(t, func(*grpc.Server) {})
	fails(t, grpcProbeOf(t, bare), "no health service")
}

func TestGRPCWithTLS(t *testing.T) {
	cert, ca := testkit.SelfSigned(t, time.Now().Add(time.Hour))
	address := grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, health.NewServer()) },
		grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	ok(t, grpcProbeOf(t, address, fmt.Sprintf("tls = { ca_file = %q }", ca)))
	fails(t, grpcProbeOf(t, address, "tls = {}"), "certificate")
	if _, err := run(t, grpcProbeOf(t, address), 2*time.Second); err == nil {
		t.Error("a server with TLS answered in clear")
	}
}

// badHealthServer answers the health call with a function of the test.
type badHealthServer struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error)
}

func (v badHealthServer) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return v.check(ctx)
}

// Faults: T40.
func TestGRPCProbesSurviveHostileServers(t *testing.T) {
	answering := func(check func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error)) string {
		return grpcServer(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, badHealthServer{check: check}) },
			grpc.MaxSendMsgSize(1<<30))
	}
	t.Run("never answers", func(t *testing.T) {
		timesOut(t, grpcProbeOf(t, answering(func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
	})
	t.Run("100 MB", func(t *testing.T) {
		large := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
		large.ProtoReflect().SetUnknown(append([]byte{0x7a, 0x80, 0x80, 0x80, 0x32}, make([]byte, 100<<20)...))
		fails(t, grpcProbeOf(t, answering(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) { return large, nil })),
			"larger than max")
	})
	t.Run("status UNKNOWN", func(t *testing.T) {
		fails(t, grpcProbeOf(t, answering(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			return &grpc_health_v1.HealthCheckResponse{Status: 77}, nil
		})), "is 77, want SERVING")
	})
	t.Run("error", func(t *testing.T) {
		fails(t, grpcProbeOf(t, answering(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			return nil, status.Error(codes.Internal, "a\nb\x00"+strings.Repeat("c", 9000))
		})), "the call failed with Internal: a bccc")
	})
	raw := func(answer string) string {
		return testkit.ServeConns(t, func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
			}
		})
	}
	for name, answer := range map[string]string{
		"HTTP/1": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"GOAWAY": "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := run(t, grpcProbeOf(t, raw(answer)), time.Second)
			if took := time.Since(begin); err == nil || took > 1200*time.Millisecond+slack {
				t.Errorf("error %v after %v", err, took)
			}
		})
	}
	timesOut(t, grpcProbeOf(t, raw("")))
	fails(t, grpcProbeOf(t, testkit.FreeAddress(t)), "connection refused")
}
