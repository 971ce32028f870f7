package probe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// unknownVariable is the number of MySQL's error for a variable that it does not
// have.
const unknownVariable = 1193

// abandonWait bounds how long it may take to end a query on a server that does
// not end it by itself. With the end of the probe it stays within 200 ms.
const abandonWait = 150 * time.Millisecond

func newMySQL(decode func(any) error, env Env) (Probe, error) {
	var c sqlConfig
	dsn, err := c.load(decode, env)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The text of err may hold a part of a password.
		return nil, errors.New("dsn: want user:password@tcp(host:3306)/database?parameter=value, where tls is true, skip-verify or preferred")
	}
	if err := safeMySQL(config); err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	p := &mysqlProbe{sqlProbe: sqlProbe{query: c.Query, errval: c.Errval, budget: new(budget), where: config.Addr, explain: explainMySQL}}
	p.secrets = []string{dsn, config.Passwd}
	config.Logger = &mysql.NopLogger{}
	config.DialFunc = p.budget.dialer(env.dialer())
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, hide(fmt.Errorf("dsn: %w", err), p.secrets...)
	}
	p.open(sql.OpenDB(connector))
	p.bound = p.limit
	p.lost = func(err error) bool { return errors.Is(err, mysql.ErrInvalidConn) }
	return p, nil
}

// explainMySQL names what the driver calls an invalid connection.
func explainMySQL(err error) error {
	if !errors.Is(err, mysql.ErrInvalidConn) {
		return err
	}
	text := strings.ReplaceAll(err.Error(), mysql.ErrInvalidConn.Error(), "the connection was closed, or a timeout among the parameters of the dsn has passed")
	return &redacted{text, err}
}

// safeMySQL refuses parameters by which a server that is not what it seems to be
// can read files of this host or the password.
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

// mysqlProbe knows how to limit the time of a query.
type mysqlProbe struct {
	sqlProbe
	// limits is how, once that is known.
	limits timeLimit
}

// timeLimit is how a server ends a query that takes too long.
type timeLimit int

const (
	limitUnknown timeLimit = iota
	limitMySQL             // max_execution_time, in milliseconds, from 5.7.8 on
	limitMariaDB           // max_statement_time, in seconds, from 10.1 on
	limitNone              // not by itself
)

// limit has the server end the query shortly after the probe. Where it cannot,
// the answer ends the query from outside.
func (p *mysqlProbe) limit(ctx context.Context, conn *sql.Conn) (abandon func(), err error) {
	abandon = func() {}
	deadline, ok := ctx.Deadline()
	if !ok {
		return abandon, nil
	}
	left := time.Until(deadline) + serverGrace
	if p.limits == limitUnknown || p.limits == limitMySQL {
		err = set(ctx, conn, fmt.Sprintf("SET SESSION max_execution_time = %d", left.Milliseconds()))
		if p.learn(limitMySQL, err) {
			return abandon, err
		}
	}
	if p.limits == limitUnknown || p.limits == limitMariaDB {
		err = set(ctx, conn, fmt.Sprintf("SET SESSION max_statement_time = %.3f", left.Seconds()))
		if p.learn(limitMariaDB, err) {
			return abandon, err
		}
	}
	p.limits = limitNone
	var id int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return abandon, err
	}
	return func() { p.kill(ctx, id) }, nil
}

// learn remembers what a server can do. It reports whether that is settled: a
// server may have been replaced by one of the other kind.
func (p *mysqlProbe) learn(limit timeLimit, err error) bool {
	if my := (*mysql.MySQLError)(nil); errors.As(err, &my) && my.Number == unknownVariable {
		p.limits = limitUnknown
		return false
	}
	if err == nil {
		p.limits = limit
	}
	return true
}

func set(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	return err
}

// kill ends a query whose connection has been closed with the probe. The server
// goes on with it under the number of that connection, so it is no other's.
func (p *mysqlProbe) kill(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWait)
	defer cancel()
	_, _ = p.db.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
}
