package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/microhq/monitor-srv/setting"
)

// grpcConfig holds the keys of the kind grpc.
type grpcConfig struct {
	// Address is host:port.
	Address string `toml:"address"`
	// Unix is the path of a socket, in place of the address.
	Unix string `toml:"unix"`
	// Service is the service to check; empty for the whole server.
	Service string `toml:"service"`
	// Authority is the name of the server that is sent, as HTTP's Host; default the
	// host and port of the address.
	Authority string `toml:"authority"`
	// Metadata are sent with the call.
	Metadata map[string]setting.Secret `toml:"metadata"`
	// Bearer, or the content of BearerFile or BearerEnv, is sent as the bearer token.
	Bearer     setting.Secret `toml:"bearer"`
	BearerFile string         `toml:"bearer_file"`
	BearerEnv  string         `toml:"bearer_env"`
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
	secrets    []string
	metadata   metadata.MD
}

func newGRPC(decode func(any) error, env Env) (Probe, error) {
	c := grpcConfig{Measure: "status"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := checkOneOf("measure", c.Measure, "status", "latency"); err != nil {
		return nil, err
	}
	if err := env.refuseKeys(map[string]bool{"bearer_file": c.BearerFile != "", "bearer_env": c.BearerEnv != ""}); err != nil {
		return nil, err
	}
	e, err := newEndpoint(c.Address, c.Unix, c.TLS, env)
	if err != nil {
		return nil, err
	}
	if c.Authority != "" && !httpguts.ValidHostHeader(c.Authority) {
		return nil, fmt.Errorf("authority: %q cannot be sent as the name of a server", printable(c.Authority))
	}
	p := &grpcProbe{endpoint: e, config: c, restricted: env.Restricted}
	return p, p.setMetadata()
}

// setMetadata checks the keys metadata and bearer.
func (p *grpcProbe) setMetadata() error {
	p.metadata = metadata.MD{}
	for _, key := range slices.Sorted(maps.Keys(p.config.Metadata)) {
		value := p.config.Metadata[key].Reveal()
		switch lower := strings.ToLower(key); {
		case strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || key == "":
			return fmt.Errorf("metadata: %q is not a name: want letters, digits and \"-_.\"", printable(key))
		case strings.HasPrefix(lower, "grpc-"):
			return fmt.Errorf("metadata: %q belongs to gRPC itself", printable(key))
		case !strings.HasSuffix(lower, "-bin") && strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
			return fmt.Errorf("metadata: the value of %q holds more than printable ASCII: give it a name that ends in \"-bin\"", printable(key))
		}
		p.metadata.Append(key, value)
		p.secrets = append(p.secrets, value)
	}
	bearer, err := setting.SecretFrom("bearer", p.config.Bearer, p.config.BearerFile, p.config.BearerEnv)
	if err != nil || bearer.IsZero() {
		return err
	}
	if !httpguts.ValidHeaderFieldValue(bearer.Reveal()) {
		return errors.New("bearer: cannot be sent in a header")
	}
	p.metadata.Append("authorization", "Bearer "+bearer.Reveal())
	p.secrets = append(p.secrets, bearer.Reveal())
	return nil
}

// Probe calls the health service of the server over a new connection. A reused one
// would back off after a failure before it reconnects.
func (p *grpcProbe) Probe(ctx context.Context) (Result, error) {
	begin := time.Now()
	var r Result
	answer, err := p.ask(ctx, &r.Facts)
	if err != nil {
		r.Value = failedValue
		return r, redact(fmt.Errorf("%s: %w", p.name(p.config.Address), err), p.secrets...)
	}
	r.Detail = answer.GetStatus().String()
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		r.Value = failedValue
		return r, fmt.Errorf("%s: service %q is %v, want SERVING", p.name(p.config.Address), p.config.Service, answer.GetStatus())
	}
	if p.config.Measure == "latency" {
		r.Value = time.Since(begin).Seconds()
	}
	return r, nil
}

func (p *grpcProbe) ask(ctx context.Context, facts *Facts) (*grpc_health_v1.HealthCheckResponse, error) {
	security := insecure.NewCredentials()
	if p.tls != nil {
		security = namedCredentials{credentials.NewTLS(p.tls), p.tls.ServerName}
	}
	var dialed atomic.Pointer[error]
	conn, err := grpc.NewClient("passthrough:///"+p.authority(),
		grpc.WithTransportCredentials(security),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := p.dial(ctx, p.network, p.address)
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
	ctx = metadata.NewOutgoingContext(ctx, p.metadata)
	defer conn.Close()
	var server peer.Peer
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.config.Service}, grpc.Peer(&server))
	if info, ok := server.AuthInfo.(credentials.TLSInfo); ok {
		facts.seen(info.State)
	}
	if err != nil {
		if e := dialed.Load(); e != nil && status.Code(err) == codes.Unavailable {
			return nil, withCause(ctx, *e)
		}
		return nil, p.explain(ctx, err)
	}
	return answer, nil
}

// authority is the name of the server that is sent.
func (p *grpcProbe) authority() string {
	switch {
	case p.config.Authority != "":
		return p.config.Authority
	case p.network == "unix":
		return "localhost"
	case p.tls != nil:
		return p.tls.ServerName
	}
	return p.address
}

// namedCredentials verify the certificate by a name of their own, and leave the
// authority to the call.
type namedCredentials struct {
	credentials.TransportCredentials

	name string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c namedCredentials) ClientHandshake(ctx context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.TransportCredentials.ClientHandshake(ctx, c.name, conn)
}

// Info describes the protocol without the name.
func (c namedCredentials) Info() credentials.ProtocolInfo {
	info := c.TransportCredentials.Info()
	info.ServerName = "" //nolint:staticcheck // grpc-go takes the authority from it
	return info
}

// Clone implements credentials.TransportCredentials.
func (c namedCredentials) Clone() credentials.TransportCredentials {
	return namedCredentials{c.TransportCredentials.Clone(), c.name}
}

// explain translates the error of a call. Its text may come from the target.
func (p *grpcProbe) explain(ctx context.Context, err error) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.DeadlineExceeded, codes.Canceled: // ours, or that of a server behind the target
		if over(ctx) {
			return withCause(ctx, os.ErrDeadlineExceeded)
		}
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
