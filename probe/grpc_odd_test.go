package probe

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// metadataServer keeps the metadata of the newest call.
type metadataServer struct {
	grpc_health_v1.UnimplementedHealthServer

	mu sync.Mutex
	md metadata.MD
}

func (s *metadataServer) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.md, _ = metadata.FromIncomingContext(ctx)
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func (s *metadataServer) last(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.md.Get(key), ",")
}

// Faults: P4.
func TestGRPCProbesSendAuthorityAndMetadata(t *testing.T) {
	ca := testkit.NewCA(t, "grpc")
	cert := ca.KeyPair("ledger.internal")
	var plain, secure metadataServer
	register := func(m *metadataServer) func(*grpc.Server) {
		return func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, m) }
	}
	open := grpcServer(t, register(&plain))
	closed := grpcServer(t, register(&secure), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	tls := fmt.Sprintf("tls = { ca_file = %q, server_name = \"ledger.internal\" }\n", ca.File)
	token := testkit.NewFile(t, "token", "canary-token\n")

	ok(t, grpcProbeOf(t, open))
	if got := plain.last(":authority"); got != open {
		t.Errorf("authority %q, want %q", got, open)
	}
	ok(t, grpcProbeOf(t, open, `authority = "ledger.example:443"`, fmt.Sprintf("bearer_file = %q", token),
		"[metadata]", `X-Tenant = "acme"`, `trace-bin = "\u00ff"`))
	for key, want := range map[string]string{
		":authority": "ledger.example:443", "x-tenant": "acme", "authorization": "Bearer canary-token", "trace-bin": "\u00ff",
	} {
		if got := plain.last(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	ok(t, grpcProbeOf(t, closed, tls))
	if got := secure.last(":authority"); got != "ledger.internal" {
		t.Errorf("authority %q, want the name of the certificate", got)
	}
	// The authority is for the proxy in between: the certificate is that of
	// server_name all the same.
	ok(t, grpcProbeOf(t, closed, tls, `authority = "other.example"`))
	if got := secure.last(":authority"); got != "other.example" {
		t.Errorf("authority %q, want other.example", got)
	}
	fails(t, grpcProbeOf(t, closed, strings.Replace(tls, "ledger", "other", 1), `authority = "ledger.internal"`), "certificate is valid for ledger.internal")
}

// Faults: P4.
func TestGRPCProbesReachSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	var health metadataServer
	grpc_health_v1.RegisterHealthServer(server, &health)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	ok(t, build(t, "grpc", fmt.Sprintf("unix = %q", path), Env{}))
	if got := health.last(":authority"); got != "localhost" {
		t.Errorf("authority %q, want localhost", got)
	}
	fails(t, build(t, "grpc", "unix = \"/no/such/socket\"", Env{}), "unix:/no/such/socket: dial unix /no/such/socket: connect: no such file or directory")
}

func TestGRPCKeysAreChecked(t *testing.T) {
	keys := func(more string) string { return "address = \"h:1\"\n" + more }
	refusedWith(t, "grpc", map[string]string{
		keys(`authority = "a b"`):                  "authority: ",
		keys(`metadata = { "a b" = "x" }`):         `metadata: "a b" is not a name`,
		keys(`metadata = { "" = "x" }`):            "metadata: ",
		keys(`metadata = { grpc-timeout = "x" }`):  `"grpc-timeout" belongs to gRPC itself`,
		keys(`metadata = { a = "x\ny" }`):          `the value of "a" holds more than printable ASCII`,
		keys(`metadata = { a = 1 }`):               "metadata",
		keys("bearer = \"a\"\nbearer_env = \"B\""): "give only one of bearer",
		keys(`bearer = "a\nb"`):                    "bearer: cannot be sent",
		keys(`unix = "/s"`):                        "give only one of address and unix",
	})
	for _, key := range []string{`bearer_file = "/f"`, `bearer_env = "B"`} {
		refused(t, "grpc", keys(key), Env{Restricted: true})
	}
}

// Faults: P4, T40.
func TestOddGRPCAnswers(t *testing.T) {
	serving := grpc_health_v1.HealthCheckResponse_SERVING
	for name, c := range map[string]struct {
		code   codes.Code
		text   string
		status grpc_health_v1.HealthCheckResponse_ServingStatus
		want   string // the detail or a part of the error
	}{
		"serving":            {codes.OK, "", serving, "SERVING"},
		"not serving":        {codes.OK, "", grpc_health_v1.HealthCheckResponse_NOT_SERVING, "is NOT_SERVING, want SERVING"},
		"unknown":            {codes.OK, "", grpc_health_v1.HealthCheckResponse_UNKNOWN, "is UNKNOWN, want SERVING"},
		"service unknown":    {codes.OK, "", grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN, "is SERVICE_UNKNOWN, want SERVING"},
		"status of tomorrow": {codes.OK, "", 99, "is 99, want SERVING"},
		"not found":          {codes.NotFound, "x", serving, "the server does not know the service"},
		"unimplemented":      {codes.Unimplemented, "x", serving, "the server has no health service"},
		"unauthenticated":    {codes.Unauthenticated, "token expired", serving, "the call failed with Unauthenticated: token expired"},
		"denied":             {codes.PermissionDenied, "not for monitors", serving, "PermissionDenied: not for monitors"},
		"exhausted":          {codes.ResourceExhausted, "slow down", serving, "ResourceExhausted: slow down"},
		"unavailable":        {codes.Unavailable, "draining", serving, "Unavailable: draining"},
		"internal":           {codes.Internal, "a\nb\x1b[2J", serving, "Internal: a b"},
		"unknown code":       {codes.Unknown, "", serving, "the call failed with Unknown"},
		"code of tomorrow":   {codes.Code(99), "x", serving, "the call failed with"},
		"timeout behind it":  {codes.DeadlineExceeded, "upstream is slow", serving, "DeadlineExceeded: upstream is slow"},
		"cancelled by it":    {codes.Canceled, "shutting down", serving, "Canceled: shutting down"},
		"echo of a secret":   {codes.Internal, "bad token canary-token", serving, "bad token <secret>"},
		"long text":          {codes.Internal, strings.Repeat("x", 5000), serving, "Internal: xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := grpcServer(t, func(s *grpc.Server) {
				grpc_health_v1.RegisterHealthServer(s, badHealthServer{check: func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
					return &grpc_health_v1.HealthCheckResponse{Status: c.status}, status.Error(c.code, c.text)
				}})
			})
			r, err := run(t, grpcProbeOf(t, server, `bearer = "canary-token"`), 10*time.Second)
			got := r.Detail
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) || strings.ContainsAny(got, "\n\x1b") || len(got) > maxReason+len("...") || strings.Contains(got, "canary") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
