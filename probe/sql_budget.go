package probe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// readBudget bounds what is read from connections by a driver that has no limit
// itself.
type readBudget struct {
	left atomic.Int64

	mu sync.Mutex
	// said is what came first over the first connection of the probe.
	said []byte
	from *budgetConn
}

func (b *readBudget) empty() bool { return b.left.Load() <= 0 }

// refill begins a probe.
func (b *readBudget) refill(n int64) {
	b.left.Store(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said, b.from = nil, nil
}

// listen keeps what comes first.
func (b *readBudget) listen(c *budgetConn, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = cmp.Or(b.from, c)
	if b.from == c {
		b.said = append(b.said, data[:min(len(data), maxDetail-len(b.said))]...)
	}
}

// greeting returns the first line that the server sent if it is readable, as that of a
// server of another kind is.
func (b *readBudget) greeting() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	line, _, _ := strings.Cut(string(b.said), "\n")
	line = strings.TrimSpace(line)
	if len(line) < 4 || strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return ""
	}
	return line
}

// dialer returns dial with its connections limited by the budget.
func (b *readBudget) dialer(dial dialFunc) dialFunc {
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
	budget *readBudget
}

var errBudget = errors.New("the server sent too much")

func (c *budgetConn) Read(b []byte) (int, error) {
	if c.budget.empty() {
		return 0, errBudget
	}
	n, err := c.Conn.Read(b)
	c.budget.left.Add(int64(-n))
	c.budget.listen(c, b[:n])
	return n, err
}
