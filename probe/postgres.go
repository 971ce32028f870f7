package probe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/microhq/monitor-srv/setting"
)

// cancelTimeout is how long a server may take to cancel a query. The driver waits 100
// ms more, which stays within 200 ms.
const cancelTimeout = 50 * time.Millisecond

func newPostgres(decode func(any) error, env Env) (Probe, error) {
	var c sqlConfig
	dsn, err := c.load(decode, env)
	if err != nil {
		return nil, err
	}
	if err := checkPostgresFiles(dsn); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The text of err may contain a part of the password.
		return nil, errors.New("dsn: want postgres://user:password@host:5432/database or keys such as host=h user=u password=p dbname=d")
	}
	if err := useASCIIHosts(&config.Config); err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	if err := setPostgresTLS(config, c.TLS, env); err != nil {
		return nil, err
	}
	p := &sqlProbe{query: c.Query, errval: c.Errval, budget: new(readBudget), address: postgresAddress(config.Host, config.Port), explain: explainPostgres}
	p.secrets = []string{dsn, config.Password}
	if u, err := url.Parse(dsn); err == nil {
		if _, given := u.User.Password(); given {
			p.secrets = append(p.secrets, u.User.String())
		}
	}
	config.DialFunc = pgconn.DialFunc(p.budget.dialer(env.dialer()))
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxSQLAnswer)
		return f
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelTimeout}
	}
	p.isConnLost = func(err error) bool {
		// Class 57P is a shutdown of the server, 08 a connection error.
		var pg *pgconn.PgError
		return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08"))
	}
	p.isTooLarge = func(err error) bool {
		var size *pgproto3.ExceededMaxBodyLenErr
		return errors.As(err, &size)
	}
	p.open(stdlib.OpenDB(*config))
	return p, nil
}

// useASCIIHosts replaces the hosts of a DSN by their ASCII form.
func useASCIIHosts(config *pgconn.Config) error {
	main := &pgconn.FallbackConfig{Host: config.Host, TLSConfig: config.TLSConfig}
	for _, f := range append([]*pgconn.FallbackConfig{main}, config.Fallbacks...) {
		if strings.HasPrefix(f.Host, "/") {
			continue // the directory of a socket
		}
		host, err := dsnHost(f.Host)
		if err != nil {
			return err
		}
		if f.TLSConfig != nil && f.TLSConfig.ServerName == f.Host {
			f.TLSConfig.ServerName = setting.WithoutZone(host)
		}
		f.Host = host
	}
	config.Host = main.Host
	return nil
}

// setPostgresTLS applies the table tls: every connection is secure, whatever sslmode
// says.
func setPostgresTLS(config *pgx.ConnConfig, t *setting.TLS, env Env) error {
	if t == nil {
		return nil
	}
	fallbacks := config.Fallbacks[:0]
	for _, f := range append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port}}, config.Fallbacks...) {
		if strings.HasPrefix(f.Host, "/") {
			return errors.New("tls: not possible over a unix socket")
		}
		secure, err := clientTLS(t, f.Host, env)
		if err != nil {
			return err
		}
		same := func(o *pgconn.FallbackConfig) bool { return o.Host == f.Host && o.Port == f.Port }
		if !slices.ContainsFunc(fallbacks, same) {
			fallbacks = append(fallbacks, &pgconn.FallbackConfig{Host: f.Host, Port: f.Port, TLSConfig: secure})
		}
	}
	config.TLSConfig, config.Fallbacks = fallbacks[0].TLSConfig, fallbacks[1:]
	return nil
}

// postgresAddress returns the address of a server. A directory stands for the socket
// in it.
func postgresAddress(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// explainPostgres shortens the driver's error for a failed connection. It lists each
// attempt, with and without TLS, and repeats the server each time.
func explainPostgres(err error) error {
	var failed *pgconn.ConnectError
	if !errors.As(err, &failed) {
		return err
	}
	var attempts []string
	for line := range strings.Lines(failed.Unwrap().Error()) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "hostname resolving error: "))
		line = strings.TrimSuffix(line, ": %!w(<nil>)")
		if !slices.Contains(attempts, line) {
			attempts = append(attempts, line)
		}
	}
	// The connection without TLS was tried as well.
	if plain := slices.DeleteFunc(slices.Clone(attempts), refusesTLS); len(plain) > 0 {
		attempts = plain
	}
	if len(attempts) == 1 {
		if _, reason, ok := strings.Cut(attempts[0], " ("+failed.Config.Host+"): "); ok {
			attempts[0] = strings.TrimPrefix(reason, "dial error: ")
		}
	}
	return &redactedError{"connecting: " + strings.Join(attempts, "; "), err}
}

func refusesTLS(attempt string) bool {
	return strings.HasSuffix(attempt, "server refused TLS connection")
}
