package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/microhq/monitor-srv/setting"
)

// grpcConfig holds the keys of the kind grpc.
type grpcConfig struct {
	// Address is host:port.
	Address string `toml:"address"`
	// Service is the service to check; empty for the whole server.
	Service string `toml:"service"`
	// TLS enables TLS, even if the table is empty.
	TLS *setting.TLS `toml:"tls"`
	// Measure is status (0 if the service is serving) or latency in seconds.
	Measure string `toml:"measure"`
}

const (
	// maxGRPCAnswer bounds a message, and maxGRPCHeader a header, in bytes.
	maxGRPCAnswer = 64 << 10
	maxGRPCHeader = 16 << 10
)

type grpcProbe struct {
	endpoint
	config     grpcConfig
	restricted bool
}

func newGRPC(decode func(any) error, env Env) (Probe, error) {
	c := grpcConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency"); err != nil {
		return nil, err
	}
	e, err := newEndpoint(c.Address, c.TLS, env)
	return &grpcProbe{endpoint: e, config: c, restricted: env.Restricted}, err
}

// Probe calls the health service of the server over a new connection. A reused one
// would back off after a failure before it reconnects.
func (p *grpcProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	answer, err := p.ask(ctx)
	if err != nil {
		return Result{Value: failedValue}, fmt.Errorf("%s: %w", p.config.Address, err)
	}
	r := Result{Detail: answer.GetStatus().String()}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		r.Value = failedValue
		return r, fmt.Errorf("%s: service %q is %v, want SERVING", p.config.Address, p.config.Service, answer.GetStatus())
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *grpcProbe) ask(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
	security := insecure.NewCredentials()
	if p.tls != nil {
		security = credentials.NewTLS(p.tls)
	}
	var dialed atomic.Pointer[error]
	conn, err := grpc.NewClient("passthrough:///"+p.address,
		grpc.WithTransportCredentials(security),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := p.dial(ctx, "tcp", address)
			if err != nil {
				dialed.Store(&err)
			}
			return c, err
		}),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithMaxHeaderListSize(maxGRPCHeader),
		grpc.WithUserAgent(defaultAgent),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxGRPCAnswer)),
	)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.config.Service})
	if err != nil {
		if e := dialed.Load(); e != nil && status.Code(err) == codes.Unavailable {
			return nil, withCause(ctx, *e)
		}
		return nil, p.explain(ctx, err)
	}
	return answer, nil
}

// explain translates the error of a call. Its text may come from the target.
func (p *grpcProbe) explain(ctx context.Context, err error) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.DeadlineExceeded, codes.Canceled:
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return context.DeadlineExceeded
	case codes.NotFound:
		return fmt.Errorf("the server does not know the service %q", p.config.Service)
	case codes.Unimplemented:
		return errors.New("the server has no health service (grpc.health.v1.Health)")
	}
	if p.restricted {
		return fmt.Errorf("the call failed with %v", s.Code())
	}
	return fmt.Errorf("the call failed with %v: %s", s.Code(), s.Message())
}

// Close does nothing: each probe opens its own connection.
func (p *grpcProbe) Close() error { return nil }
