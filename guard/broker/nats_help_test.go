package broker_test

import (
	"testing"
	"time"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
)

// startNATS starts a guarded broker on the address and asks it to connect.
func startNATS(t *testing.T, address string, change func(*guardbroker.NATSConfig)) (b *guardbroker.Broker, stop func() time.Duration) {
	t.Helper()
	cfg := guardbroker.NATSConfig{
		Config:    guardbroker.Config{Logger: testkit.QuietLog()},
		Addresses: []string{address},
	}
	if change != nil {
		change(&cfg)
	}
	b, err := guardbroker.NewNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = testkit.Run(t, b)
	start := time.Now()
	if err := b.Connect(); err != nil || time.Since(start) > 3*time.Second {
		t.Fatalf("Connect: %v after %v", err, time.Since(start))
	}
	return b, stop
}

// awaitConnected waits until the connection stands.
func awaitConnected(t testing.TB, b *guardbroker.Broker, limit time.Duration) time.Duration {
	t.Helper()
	return testkit.Eventually(t, limit, "connected", func() bool { return b.State().OK })
}
