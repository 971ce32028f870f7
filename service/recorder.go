package service

import (
	"math"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/monitor"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/wire"
)

// monitorPrefix begins the id of the check that a monitor's results are.
const monitorPrefix = "monitor."

// monitorTTL is the ttl of a monitor's check, in intervals. A result is later than that
// only if this process is overloaded.
const monitorTTL = 10

// recorder makes every result of a monitor a health check of an instance.
type recorder struct {
	store                  *store.Store
	service, version, node string // of the instance
}

var _ monitor.Recorder = recorder{}

func recorderOf(cfg Config, s *store.Store) recorder {
	return recorder{store: s, service: cfg.Server.Name, version: cfg.Server.Version, node: cfg.Server.node()}
}

// Record implements monitor.Recorder.
func (r recorder) Record(res monitor.Result) {
	e := store.Event{
		Kind:    store.KindCheck,
		Source:  healthpb.HealthCheck_MONITOR,
		Service: []byte(r.service),
		Version: []byte(r.version),
		Node:    []byte(r.node),
		ID:      []byte(monitorPrefix + res.Name),
	}
	if res.State == monitor.Stopped {
		r.store.Forget(&e)
		return
	}
	seconds := int64(math.Ceil(res.Interval.Seconds()))
	e.Description = []byte("monitor " + res.Name)
	e.Status = int32(statusOf(res.State))
	// No timestamp: results come in their order, and the wall clock may jump.
	e.Interval, e.TTL = seconds, monitorTTL*seconds
	e.Body = checkBody(res)
	r.store.Put(&e)
}

// checkBody returns the results and the error of a check as the bytes of their
// fields. It writes them itself: marshalling a message with a map costs seven times
// as much.
func checkBody(res monitor.Result) []byte {
	b := make([]byte, 0, 256)
	b = appendResult(b, "state", res.State.String())
	b = appendResult(b, "took", res.Took.Round(time.Microsecond).String())
	failure := res.Violation
	if res.Err == nil {
		b = appendResult(b, "value", strconv.FormatFloat(res.Value, 'g', -1, 64))
	} else {
		failure = res.Err.Error()
	}
	if res.Detail != "" {
		b = appendResult(b, "detail", clip(res.Detail))
	}
	for _, p := range res.Phases {
		b = appendResult(b, p.Name, p.Duration.Round(time.Microsecond).String())
	}
	if failure != "" {
		b = wire.AppendString(b, wire.HealthCheckError, clip(failure))
	}
	return b
}

func appendResult(b []byte, name, value string) []byte {
	return wire.AppendMapEntry(b, wire.HealthCheckResults, name, value)
}

// clip cuts a text from elsewhere to the bounds of an answer.
func clip(s string) string { return text.Clip(s, health.MaxText, health.CutMark) }

func statusOf(s monitor.State) healthpb.HealthCheck_Status {
	switch s {
	case monitor.OK:
		return healthpb.HealthCheck_OK
	case monitor.Warning:
		return healthpb.HealthCheck_WARNING
	case monitor.Failing:
		return healthpb.HealthCheck_ERROR
	}
	return healthpb.HealthCheck_UNKNOWN
}
