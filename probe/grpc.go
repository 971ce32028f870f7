package probe

import (
	"context"
	"crypto/tls"
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
	// Service to ask about; empty means the server as a whole.
	Service string `toml:"service"`
	// TLS, if given at all, makes the connection one with TLS.
	TLS *setting.TLS `toml:"tls"`
	// Measure is status (0 if it is serving) or latency in seconds.
	Measure string `toml:"measure"`
}

const (
	// maxGRPCAnswer bounds a message, and maxGRPCHeader a header, in bytes.
	maxGRPCAnswer = 64 << 10
	maxGRPCHeader = 16 << 10
)

type grpcProbe struct {
	config     grpcConfig
	restricted bool
	dial       dialFunc
	tls        *tls.Config
}

func newGRPC(decode func(any) error, env Env) (Probe, error) {
	c := grpcConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := required("address", c.Address); err != nil {
		return nil, err
	}
	host, _, err := TargetAddr(c.Address)
	if err != nil {
		return nil, err
	}
	if err := oneOf("measure", c.Measure, "status", "latency"); err != nil {
		return nil, err
	}
	p := &grpcProbe{config: c, restricted: env.Restricted, dial: env.dialer()}
	p.tls, err = clientTLS(c.TLS, host, env)
	return p, err
}

// Probe asks the server's health service, over a connection of its own: one that
// is kept would wait before it tries again after a failure.
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
	conn, err := grpc.NewClient("passthrough:///"+p.config.Address,
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
			return nil, ended(ctx, *e)
		}
		return nil, p.explain(ctx, err)
	}
	return answer, nil
}

// explain says what an error of a call means. Its text may come from the target.
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

// Close does nothing: each probe has a connection of its own.
func (p *grpcProbe) Close() error { return nil }
