package broker

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/microhq/monitor-srv/guard"
)

// What waits for the handler of one subscription. Further events are dropped.
const (
	maxPendingEvents = 512 << 10
	maxPendingBytes  = 64 << 20
)

// NATSConfig configures the NATS broker. The zero value means the server at
// 127.0.0.1:4222 without TLS.
type NATSConfig struct {
	Config
	// Addresses of the servers of one cluster: host, host:port, nats://host:port or
	// tls://host:port. One tls:// means TLS for all. A URL may contain user and password,
	// or a token in place of the user. An element may be a comma-separated list.
	Addresses []string
	// TLSConfig enables TLS. Nil: TLS for tls:// addresses, with the system's
	// authorities.
	TLSConfig *tls.Config
	// Name is the client's name in the server's list of connections. Empty: none.
	Name string
	// ReconnectWait is the minimum pause between two connection attempts. A random
	// time of up to as much is added. 0: 500 ms.
	ReconnectWait time.Duration
}

// NewNATS returns a guarded broker on NATS that reconnects without limit, also if no
// server is available at start. It does not connect. Its errors name the setting at
// fault and the remedy.
//
// Publish returns when the server has received the event, and fails at once while
// disconnected. Each subscription buffers up to 524,288 events or 64 MiB. Further events
// are dropped and counted in Stats.Dropped, as are errors of the connection.
func NewNATS(cfg NATSConfig) (*Broker, error) {
	cfg.Config = cfg.Config.withDefaults()
	servers, err := natsServers(cfg.Addresses)
	if err != nil {
		return nil, err
	}
	n := &natsBroker{
		timeout:   cfg.Timeout,
		address:   guard.Redact(strings.Join(servers, ",")),
		droppedBy: make(map[*nats.Subscription]uint64),
	}
	n.options = n.clientOptions(cfg, servers)
	n.conn = &connection{dropped: n.dropped}
	return newBroker(n, cfg.Config, n.conn), nil
}

// clientOptions returns the options of the client. With the defaults it would give up
// after two minutes, or at once if no server is available at start, and replay 8 MB of
// old events.
func (n *natsBroker) clientOptions(cfg NATSConfig, servers []string) nats.Options {
	o := nats.GetDefaultOptions()
	o.Servers = servers
	o.Name = cfg.Name
	o.MaxReconnect, o.ReconnectBufSize = -1, -1
	o.RetryOnFailedConnect = true
	o.IgnoreAuthErrorAbort = true
	o.NoCallbacksAfterClientClose = true
	o.ReconnectWait = cmp.Or(cfg.ReconnectWait, 500*time.Millisecond)
	o.ReconnectJitter, o.ReconnectJitterTLS = o.ReconnectWait, o.ReconnectWait
	o.PingInterval, o.MaxPingsOut = 5*time.Second, 2
	// The client holds its lock while it connects: a stop waits for half the timeout at
	// most. Then handlers have a quarter of it, and a quarter remains for the server.
	o.Timeout, o.FlusherTimeout, o.DrainTimeout = cfg.Timeout/2, cfg.Timeout, cfg.Timeout/4
	o.SkipHostLookup = true
	connected := func(*nats.Conn) { n.conn.setUp() }
	disconnected := func(_ *nats.Conn, err error) {
		if !errors.Is(err, nats.ErrNoServers) { // which hides the reason
			n.conn.setDown(err)
		}
	}
	o.ConnectedCB, o.ReconnectedCB = connected, connected
	o.DisconnectedErrCB, o.ReconnectErrCB = disconnected, disconnected
	o.ClosedCB = func(c *nats.Conn) { n.conn.setLost(c.LastError()) }
	o.AsyncErrorCB = n.onError
	o.TLSConfig, o.Secure = cfg.TLSConfig, cfg.TLSConfig != nil
	return o
}

// natsServers checks the addresses and returns them as URLs.
func natsServers(addresses []string) (servers []string, err error) {
	for address := range strings.SplitSeq(strings.Join(addresses, ","), ",") {
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		u, err := natsServer(address)
		if err != nil {
			return nil, fmt.Errorf("broker address %q: %w: give host:port, nats://host:port or tls://host:port",
				guard.Redact(address), err)
		}
		servers = append(servers, u.String())
	}
	if len(servers) == 0 {
		servers = []string{"nats://127.0.0.1:4222"}
	}
	return servers, nil
}

func natsServer(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "nats://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("it is not an address") // the error of url.Parse contains the password
	}
	if u.Scheme != "nats" && u.Scheme != "tls" {
		return nil, fmt.Errorf("unknown scheme %q", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("the host is missing")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("nothing may follow the port")
	}
	u.Path = ""
	if u.Host, err = guard.HostPort(u.Host, "4222"); err != nil {
		return nil, err
	}
	return u, nil
}
