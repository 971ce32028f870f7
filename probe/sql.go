package probe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/microhq/monitor-srv/setting"
)

// sqlConfig holds the keys of the kinds mysql and postgres.
type sqlConfig struct {
	// DSN or one of the others says where the database is and who asks.
	DSN     setting.Secret `toml:"dsn"`
	DSNFile string         `toml:"dsn_file"`
	DSNEnv  string         `toml:"dsn_env"`
	// Query yields one row of one column, a number: the value.
	Query string `toml:"query"`
	// Errval is the value shown when the probe fails.
	Errval float64 `toml:"errval"`
}

// load checks the keys and returns the DSN.
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
	if err := required("query", c.Query); err != nil {
		return "", err
	}
	return dsn.Reveal(), finite("errval", c.Errval)
}

// maxSQLAnswer bounds what a server may send during one probe, in bytes.
const maxSQLAnswer = 1 << 20

// serverGrace is how much longer than the probe a server may work on a query
// that it ends by itself. The probe must end first: what the server returns of a
// query that it ended may look like an answer.
const serverGrace = 500 * time.Millisecond

// sqlProbe asks a database by way of one connection, opened when it is needed
// first and anew after a minute.
type sqlProbe struct {
	db *sql.DB
	// where names the server in errors.
	where  string
	query  string
	errval float64
	budget *budget
	// bound limits the query on the server's side, if the kind does it so; its
	// answer ends a query that the server goes on with.
	bound func(ctx context.Context, c *sql.Conn) (abandon func(), err error)
	// lost reports whether an error of the kind's driver means that the connection
	// was closed.
	lost func(error) bool
	// explain gives an error of the kind's driver better words.
	explain func(error) error
	// large reports whether the kind's driver refused an answer for its size; nil
	// if it never does.
	large func(error) bool
	// kept is set while a connection is kept that was good at the last probe.
	kept    bool
	secrets []string
}

// open sets the limits of a pool that is one connection.
func (p *sqlProbe) open(db *sql.DB) {
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(ageLimit)
	p.db = db
}

// Probe runs the query.
func (p *sqlProbe) Probe(ctx context.Context) (Result, error) {
	v, err := p.ask(ctx)
	if err != nil && p.kept && ctx.Err() == nil && p.closed(err) {
		// The server may close a connection that lies idle; that says nothing
		// about whether it answers.
		v, err = p.ask(ctx)
	}
	p.kept = err == nil
	if err == nil {
		return Result{Value: v}, nil
	}
	if p.budget.empty() && !errors.Is(err, errManyRows) || p.large != nil && p.large(err) {
		err = fmt.Errorf("the answer is larger than %d KiB", maxSQLAnswer>>10)
	}
	return Result{Value: p.errval}, hide(fmt.Errorf("%s: %w", p.where, p.explain(err)), p.secrets...)
}

// closed reports whether an error means that the connection was closed.
func (p *sqlProbe) closed(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || p.lost(err)
}

func (p *sqlProbe) ask(ctx context.Context) (float64, error) {
	p.budget.refill(maxSQLAnswer)
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", ended(ctx, err))
	}
	abandon := func() {}
	if p.bound != nil {
		if abandon, err = p.bound(ctx, conn); err != nil {
			_ = conn.Close()
			return 0, fmt.Errorf("limiting the time of the query: %w", ended(ctx, err))
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

// scalar runs a query and returns the only number of its answer.
func scalar(ctx context.Context, conn *sql.Conn, query string) (float64, error) {
	// Ending the context drops the rest of an answer that is too long.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return 0, fmt.Errorf("running the query: %w", ended(ctx, err))
	}
	defer func() {
		cancel()
		_ = rows.Close()
	}()
	columns, err := rows.Columns()
	if err != nil {
		return 0, fmt.Errorf("running the query: %w", ended(ctx, err))
	}
	if len(columns) != 1 {
		return 0, fmt.Errorf("the query returned %d columns, want 1", len(columns))
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, fmt.Errorf("running the query: %w", ended(ctx, err))
		}
		return 0, errors.New("the query returned no row, want 1")
	}
	var cell any
	if err := rows.Scan(&cell); err != nil {
		return 0, fmt.Errorf("reading the answer: %w", ended(ctx, err))
	}
	if rows.Next() {
		return 0, errManyRows
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("running the query: %w", ended(ctx, err))
	}
	return number(cell)
}

// number turns what a driver returned into a value.
func number(cell any) (float64, error) {
	switch c := cell.(type) {
	case nil:
		return 0, errors.New("the query returned NULL, want a number")
	case int64:
		return float64(c), nil
	case uint64:
		return float64(c), nil
	case float32:
		return number(float64(c))
	case float64:
		if err := checkFinite(c); err != nil {
			return 0, fmt.Errorf("the answer %w", err)
		}
		return c, nil
	case bool:
		if c {
			return 1, nil
		}
		return 0, nil
	case []byte:
		return number(string(c))
	case string:
		v, err := ParseValue(c)
		if err != nil {
			return 0, fmt.Errorf("the answer %w: %.40q", err, printable(c))
		}
		return v, nil
	}
	return 0, fmt.Errorf("the answer is of type %T, want a number", cell)
}

// Close closes the connection.
func (p *sqlProbe) Close() error {
	if err := p.db.Close(); err != nil {
		return hide(fmt.Errorf("closing the connection: %w", err), p.secrets...)
	}
	return nil
}

// budget bounds what is read from connections whose reader has no bound itself.
type budget struct{ left atomic.Int64 }

func (b *budget) refill(n int64) { b.left.Store(n) }
func (b *budget) empty() bool    { return b.left.Load() <= 0 }

// dialer returns dial with its connections under the budget.
func (b *budget) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &budgetConn{c, b}, nil
	}
}

type budgetConn struct {
	net.Conn
	budget *budget
}

var errBudget = errors.New("the other side sent too much")

func (c *budgetConn) Read(b []byte) (int, error) {
	if c.budget.empty() {
		return 0, errBudget
	}
	n, err := c.Conn.Read(b)
	c.budget.left.Add(int64(-n))
	return n, err
}
