package probe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// sqlConfig holds the keys of the kinds mysql and postgres.
type sqlConfig struct {
	// DSN, or the content of DSNFile or DSNEnv, is the data source name.
	DSN     setting.Secret `toml:"dsn"`
	DSNFile string         `toml:"dsn_file"`
	DSNEnv  string         `toml:"dsn_env"`
	// Query returns one row with one column: the number that becomes the value.
	// Without it the probe connects, logs in and pings; the value is 0.
	Query string `toml:"query"`
	// TLS enables TLS, even if the table is empty, in place of what DSN says of it.
	TLS *setting.TLS `toml:"tls"`
	// Errval is the value shown when the probe fails.
	Errval float64 `toml:"errval"`
}

// load decodes and checks the keys and returns the DSN.
func (c *sqlConfig) load(decode func(any) error, env Env) (string, error) {
	if err := decode(c); err != nil {
		return "", err
	}
	if err := env.localOnly(); err != nil {
		return "", err
	}
	dsn, err := setting.SecretFrom("dsn", c.DSN, c.DSNFile, c.DSNEnv)
	if err != nil {
		return "", err
	}
	if err := required("dsn", dsn.Reveal()); err != nil {
		return "", err
	}
	return dsn.Reveal(), finite("errval", c.Errval)
}

// maxSQLAnswer bounds what a server may send during one probe, in bytes.
const maxSQLAnswer = 1 << 20

// serverGrace is how much longer than the probe a server may work on a query with a
// time limit. The probe must end first: the server's result of a query that it ended
// may look like an answer.
const serverGrace = 500 * time.Millisecond

// sqlProbe queries a database over one connection, which is opened when first needed
// and replaced after a minute.
type sqlProbe struct {
	db *sql.DB
	// address is the server, for errors.
	address string
	query   string
	errval  float64
	budget  *readBudget
	// limitTime limits the time of the query on the server, if the kind supports
	// that. abandon ends a query that the server continues.
	limitTime func(ctx context.Context, c *sql.Conn) (abandon func(), err error)
	// isConnLost reports whether an error of the driver means that the connection was
	// closed.
	isConnLost func(error) bool
	// explain replaces an error of the driver by a clearer one.
	explain func(error) error
	// isTooLarge reports whether the driver refused an answer because of its size;
	// nil if it never does.
	isTooLarge func(error) bool
	// connReused is set if the pool has a connection that worked at the last probe.
	connReused bool
	secrets    []string
}

// open limits the pool to one connection.
func (p *sqlProbe) open(db *sql.DB) {
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(ageLimit)
	p.db = db
}

// Probe runs the query.
func (p *sqlProbe) Probe(ctx context.Context) (Result, error) {
	v, err := p.ask(ctx)
	if err != nil && p.connReused && ctx.Err() == nil && p.connClosed(err) {
		// The server may have closed the idle connection. That does not mean that it
		// fails: retry once with a new one.
		v, err = p.ask(ctx)
	}
	p.connReused = err == nil
	if err == nil {
		return Result{Value: v}, nil
	}
	switch said := p.budget.greeting(); {
	case said != "":
		err = fmt.Errorf("connecting: the server speaks another protocol: it says %q", said)
	case p.budget.empty() && !errors.Is(err, errManyRows), p.isTooLarge != nil && p.isTooLarge(err):
		err = fmt.Errorf("the answer is larger than %d KiB", maxSQLAnswer>>10)
	default:
		err = p.explain(err)
	}
	return Result{Value: p.errval}, redact(fmt.Errorf("%s: %w", p.address, err), p.secrets...)
}

// connClosed reports whether an error means that the connection was closed.
func (p *sqlProbe) connClosed(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || p.isConnLost(err)
}

func (p *sqlProbe) ask(ctx context.Context) (float64, error) {
	p.budget.refill(maxSQLAnswer)
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", withCause(ctx, err))
	}
	if p.query == "" {
		defer conn.Close()
		if err := conn.PingContext(ctx); err != nil {
			return 0, fmt.Errorf("pinging: %w", withCause(ctx, err))
		}
		return 0, nil
	}
	abandon := func() {}
	if p.limitTime != nil {
		if abandon, err = p.limitTime(ctx, conn); err != nil {
			_ = conn.Close()
			return 0, fmt.Errorf("limiting the time of the query: %w", withCause(ctx, err))
		}
	}
	v, err := scalar(ctx, conn, p.query)
	_ = conn.Close()
	if ctx.Err() != nil {
		abandon()
	}
	return v, err
}

var errManyRows = errors.New("the query returned more than 1 row")

// scalar runs a query and returns the number in its only row and column.
func scalar(ctx context.Context, conn *sql.Conn, query string) (float64, error) {
	// Cancelling the context discards the rest of an answer that is too long.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return 0, fmt.Errorf("running the query: %w", withCause(ctx, err))
	}
	defer func() {
		cancel()
		_ = rows.Close()
	}()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return 0, fmt.Errorf("running the query: %w", withCause(ctx, err))
	}
	if len(columns) != 1 {
		return 0, fmt.Errorf("the query returned %d columns, want 1", len(columns))
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, fmt.Errorf("running the query: %w", withCause(ctx, err))
		}
		return 0, errors.New("the query returned no row, want 1")
	}
	var cell any
	if err := rows.Scan(&cell); err != nil {
		return 0, fmt.Errorf("reading the answer: %w", withCause(ctx, err))
	}
	if rows.Next() {
		return 0, errManyRows
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("running the query: %w", withCause(ctx, err))
	}
	return number(cell, columns[0].DatabaseTypeName())
}

// Close closes the connection.
func (p *sqlProbe) Close() error {
	if err := p.db.Close(); err != nil {
		return redact(fmt.Errorf("closing the connection: %w", err), p.secrets...)
	}
	return nil
}
