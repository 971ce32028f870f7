package guard_test

import (
	"testing"
	"time"

	"github.com/microhq/monitor-srv/guard"
)

// brkNATS starts a guarded broker on the address and asks it to connect.
func brkNATS(t *testing.T, address string, change func(*guard.NATSConfig)) (b *guard.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guard.NATSConfig{
		BrokerConfig: guard.BrokerConfig{Logger: QuietLog()},
		Addresses:    []string{address},
	}
	if change != nil {
		change(&cfg)
	}
	b, err := guard.NewNATSBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = Run(t, b)
	start := time.Now()
	if err := b.Connect(); err != nil || time.Since(start) > 3*time.Second {
		t.Fatalf("Connect: %v after %v", err, time.Since(start))
	}
	return b, stop
}

// brkUp waits until the connection stands.
func brkUp(t testing.TB, b *guard.Broker, limit time.Duration) time.Duration {
	t.Helper()
	return Eventually(t, limit, "connected", func() bool { return b.State().OK })
}
