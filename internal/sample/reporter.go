package sample

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/microhq/monitor-srv/health"
)

// NewReporter returns a reporter of the checks, as one more node of the service. It
// runs once it is started.
func NewReporter(publisher health.Publisher, interval time.Duration, log *slog.Logger) (*health.Reporter, error) {
	r := health.NewReporter(nil,
		health.WithIdentity(health.Identity{Name: Name, Version: Version, NodeID: Name + "-" + uuid.NewString()}),
		health.WithPublisher(publisher),
		health.WithInterval(interval),
		health.WithLogger(log),
	)
	return r, r.Add(Checks()...)
}
