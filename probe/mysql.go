package probe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/microhq/monitor-srv/setting"
)

func newMySQL(decode func(any) error, env Env) (Probe, error) {
	var c sqlConfig
	dsn, err := c.load(decode, env)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The text of err may contain a part of the password.
		return nil, errors.New("dsn: want user:password@tcp(host:3306)/database?parameter=value, where tls is true, skip-verify or preferred")
	}
	if err := safeMySQL(config); err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	if host, port, err := net.SplitHostPort(config.Addr); err == nil && config.Net == "tcp" {
		if host, err = dsnHost(host); err != nil {
			return nil, fmt.Errorf("dsn: %w", err)
		}
		config.Addr = net.JoinHostPort(host, port)
	}
	if err := setMySQLTLS(config, c.TLS, env); err != nil {
		return nil, err
	}
	p := &mysqlProbe{sqlProbe: sqlProbe{query: c.Query, errval: c.Errval, budget: new(readBudget), address: config.Addr, explain: explainMySQL}}
	p.secrets = []string{dsn, config.Passwd}
	config.Logger = &mysql.NopLogger{}
	config.DialFunc = p.budget.dialer(env.dialer())
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, redact(fmt.Errorf("dsn: %w", err), p.secrets...)
	}
	p.open(sql.OpenDB(connector))
	p.limitTime = p.limit
	p.isConnLost = func(err error) bool { return errors.Is(err, mysql.ErrInvalidConn) }
	return p, nil
}

// explainMySQL describes the driver's "invalid connection".
func explainMySQL(err error) error {
	if !errors.Is(err, mysql.ErrInvalidConn) {
		return err
	}
	text := strings.ReplaceAll(err.Error(), mysql.ErrInvalidConn.Error(), "the connection was closed, or a timeout set in the dsn expired")
	return &redactedError{text, err}
}

// safeMySQL refuses parameters with which a malicious server can read files of this
// host or the password.
func safeMySQL(c *mysql.Config) error {
	switch {
	case c.AllowAllFiles:
		return errors.New("allowAllFiles lets the server read any file of this host: remove it")
	case c.AllowCleartextPasswords:
		return errors.New("allowCleartextPasswords sends the password to whoever answers: remove it")
	case c.AllowOldPasswords:
		return errors.New("allowOldPasswords gives the password to whoever answers: remove it")
	}
	for name := range c.Params {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`).MatchString(name) {
			return fmt.Errorf("parameter %q is neither one of the driver nor a system variable", printable(name))
		}
	}
	return nil
}

// setMySQLTLS applies the table tls.
func setMySQLTLS(config *mysql.Config, t *setting.TLS, env Env) error {
	switch {
	case t == nil:
		return nil
	case config.TLSConfig != "":
		return errors.New("tls: give only one of this table and the parameter tls of the dsn")
	case config.Net == "unix":
		return errors.New("tls: not possible over a unix socket")
	}
	host, _, err := net.SplitHostPort(config.Addr)
	if err != nil {
		return fmt.Errorf("dsn: address %q: want host:port", printable(config.Addr))
	}
	config.TLS, err = clientTLS(t, host, env)
	return err
}

// mysqlProbe is a sqlProbe that limits the time of a query on the server.
type mysqlProbe struct {
	sqlProbe
	// limits is the kind of limit that the server supports.
	limits timeLimit
}

// timeLimit is how a server limits the time of a query.
type timeLimit int

const (
	limitUnknown timeLimit = iota
	limitMySQL             // max_execution_time, in milliseconds, from 5.7.8 on
	limitMariaDB           // max_statement_time, in seconds, from 10.1 on
	limitNone              // not supported
)

// limit makes the server end the query shortly after the probe. If the server does
// not support that, abandon kills the query.
func (p *mysqlProbe) limit(ctx context.Context, conn *sql.Conn) (abandon func(), err error) {
	abandon = func() {}
	deadline, ok := ctx.Deadline()
	if !ok {
		return abandon, nil
	}
	left := time.Until(deadline) + serverGrace
	if p.limits == limitUnknown || p.limits == limitMySQL {
		err = execStatement(ctx, conn, fmt.Sprintf("SET SESSION max_execution_time = %d", left.Milliseconds()))
		if p.learn(limitMySQL, err) {
			return abandon, err
		}
	}
	if p.limits == limitUnknown || p.limits == limitMariaDB {
		err = execStatement(ctx, conn, fmt.Sprintf("SET SESSION max_statement_time = %.3f", left.Seconds()))
		if p.learn(limitMariaDB, err) {
			return abandon, err
		}
	}
	p.limits = limitNone
	var id int64
	err = conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
	if refusesStatement(err) {
		return abandon, nil // what speaks MySQL's protocol need not know its functions
	}
	if err != nil {
		return abandon, err
	}
	return func() { p.kill(ctx, id) }, nil
}

// refusesStatement reports whether the server refused a statement, and not the connection.
func refusesStatement(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my)
}

// learn remembers which limit a server supports. It reports false if the server does
// not support this one, which it may have done before it was replaced.
func (p *mysqlProbe) learn(limit timeLimit, err error) bool {
	if refusesStatement(err) {
		p.limits = limitUnknown
		return false
	}
	if err == nil {
		p.limits = limit
	}
	return true
}

func execStatement(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	return err
}

// killTimeout bounds the time to kill a query on a server without time limits.
// Together with the end of the probe it stays within 200 ms.
const killTimeout = 150 * time.Millisecond

// kill ends a query whose connection was closed with the probe. The server continues
// the query under the id of that connection, so no other query can have it.
func (p *mysqlProbe) kill(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	_, _ = p.db.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
}
