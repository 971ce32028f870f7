package service

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/ingest"
)

// newReporter returns the reporter of the instance's checks on itself. Its reports are
// stored in this instance immediately, also while the broker is away. Other replicas
// receive them from the bus.
func newReporter(service health.Service, events *ingest.Events, log *slog.Logger) *health.Reporter {
	observe := func(topic string, event proto.Message) {
		if err := events.Inject(topic, event); err != nil {
			log.Error("a report of this instance about itself is lost", "err", err)
		}
	}
	return health.NewReporter(service, health.WithObserver(observe), health.WithLogger(log))
}

// runReporter reports from when the bus is ready, or soon after if it is not.
func runReporter(ctx context.Context, reporter *health.Reporter, n *network) error {
	n.awaitBus(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return reporter.Run(ctx)
}
