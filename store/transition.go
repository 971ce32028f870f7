package store

import (
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/wire"
)

// judgement is a status, MISSING or FORGOTTEN.
type judgement uint8

const (
	judgedMissing judgement = iota + 4
	judgedForgotten
)

func (j judgement) name(kind Kind) string {
	switch {
	case j == judgedMissing:
		return "MISSING"
	case j == judgedForgotten:
		return "FORGOTTEN"
	case kind == KindStatus:
		return healthpb.Status_Status(j).String()
	}
	return healthpb.HealthCheck_Status(j).String()
}

// cause is why a judgement changed.
type cause uint8

const (
	firstReport cause = iota
	reported
	wentStale
	onlyOutdated
	wentMissing
	forgottenMissing
	forgottenStopped
	evicted
	withdrawn
)

// text describes the cause for people. The durations are those of the record.
func (c cause) text(past, limit time.Duration) string {
	switch c {
	case firstReport:
		return "first report"
	case wentStale:
		return "no report for " + past.String() + " (interval " + limit.String() + ")"
	case onlyOutdated:
		return "only events older than the newest for " + past.String() + " (interval " + limit.String() + ")"
	case wentMissing:
		return "missing: no report for " + past.String() + " (ttl " + limit.String() + ")"
	case forgottenMissing:
		return "forgotten: missing for " + past.String()
	case forgottenStopped:
		return "forgotten: stopped for " + past.String()
	case evicted:
		return "evicted: its room was needed"
	case withdrawn:
		return "withdrawn"
	}
	return "reported"
}

// record is a Transition in the ring. It shares its strings with the entries.
type record struct {
	seq                        int64
	unixNano                   int64
	service, version, node, id string
	error                      string
	past, limit                uint32 // seconds
	kind                       Kind
	from, to                   judgement
	cause                      cause
}

func (r *record) transition() Transition {
	return Transition{
		Seq: r.seq, Time: time.Unix(0, r.unixNano), Kind: r.kind,
		Service: r.service, Version: r.version, Node: r.node, ID: r.id,
		From: r.from.name(r.kind), To: r.to.name(r.kind),
		Why:   r.cause.text(time.Duration(r.past)*time.Second, time.Duration(r.limit)*time.Second),
		Error: r.error,
	}
}

func (q *TransitionQuery) selects(r *record) bool {
	return (q.Service == "" || q.Service == r.service) &&
		(q.Node == "" || q.Node == r.node) &&
		(q.ID == "" || q.ID == r.id)
}

// maxError bounds the error of a transition, in bytes: a ring full of the longest errors
// would take 64 MiB otherwise.
const maxError = 1024

// errorOf returns the error in the body of a check, cut to maxError bytes. It is the last
// one, as everywhere in protobuf. protowire, unlike wire.Field, lets the compiler see that
// the body needs no copy.
func errorOf(body string) (text string) {
	for b := []byte(body); len(b) > 0; {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			break
		}
		if num == wire.HealthCheckError && typ == protowire.BytesType {
			_, _, skip := protowire.ConsumeTag(b)
			text, _ = protowire.ConsumeString(b[skip:])
		}
		b = b[n:]
	}
	return cut(text)
}

// cut shortens an error to maxError bytes.
func cut(text string) string { return shorten(text, maxError) }

// shorten cuts a text to most bytes, on a rune boundary.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const mark = "..."
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
