package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/monitor"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// monitorPrefix begins the id of the check that a monitor's results are.
const monitorPrefix = "monitor."

// monitorTTL is how many intervals a monitor may be silent before its check is
// missing. It is silent only if this process has too much to do.
const monitorTTL = 10

// recorder makes every result of a monitor a health check of this instance.
type recorder struct{ i *instance }

var _ monitor.Recorder = recorder{}

// Record implements monitor.Recorder.
func (r recorder) Record(res monitor.Result) {
	e := store.Event{
		Kind:    store.KindCheck,
		Source:  healthpb.HealthCheck_MONITOR,
		Service: []byte(r.i.cfg.server.name),
		Version: []byte(r.i.cfg.server.version),
		Node:    []byte(r.i.node),
		ID:      []byte(monitorPrefix + res.Name),
	}
	if res.State == monitor.Stopped {
		r.i.store.Forget(&e)
		return
	}
	seconds := int64(math.Ceil(res.Interval.Seconds()))
	e.Description = []byte("monitor " + res.Name)
	e.Status = int32(statusOf(res.State))
	// No timestamp: results come in their order, whatever the wall clock does.
	e.Interval, e.TTL = seconds, monitorTTL*seconds
	e.Body = checkBody(res)
	r.i.store.Put(&e)
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
		b = appendResult(b, "detail", clean(res.Detail))
	}
	for _, p := range res.Phases {
		b = appendResult(b, p.Name, p.Duration.Round(time.Microsecond).String())
	}
	if failure != "" {
		b = protowire.AppendTag(b, errorField, protowire.BytesType)
		b = protowire.AppendString(b, clean(failure))
	}
	return b
}

// Numbers of fields of a HealthCheck and of an entry of its map, fixed for ever.
const (
	resultsField protowire.Number = 8
	errorField   protowire.Number = 9
	keyField     protowire.Number = 1
	valueField   protowire.Number = 2
)

// appendResult appends one result.
func appendResult(b []byte, name, value string) []byte {
	size := protowire.SizeTag(keyField) + protowire.SizeBytes(len(name)) +
		protowire.SizeTag(valueField) + protowire.SizeBytes(len(value))
	b = protowire.AppendTag(b, resultsField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, keyField, protowire.BytesType)
	b = protowire.AppendString(b, name)
	b = protowire.AppendTag(b, valueField, protowire.BytesType)
	return protowire.AppendString(b, value)
}

// clean keeps a text that came from elsewhere within what an answer may hold.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > health.MaxText {
		text = strings.ToValidUTF8(text[:health.MaxText-len(health.CutMark)], "") + health.CutMark
	}
	return text
}

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
