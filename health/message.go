package health

import (
	"sync/atomic"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// seconds rounds up, so that no event promises more than is held.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// stamps gives the timestamps of events, which order them: they never go back,
// because after a clock was set back, by an hour or a second, older ones would be
// taken for old news. The zero value is usable.
type stamps struct{ last atomic.Int64 }

// now is the time in unix seconds or, while the clock is behind it, what was given
// last.
func (s *stamps) now() int64 { return s.after(time.Now().Unix()) }

func (s *stamps) after(unix int64) int64 {
	for {
		last := s.last.Load()
		if unix <= last {
			return last
		}
		if s.last.CompareAndSwap(last, unix) {
			return unix
		}
	}
}

// checkEvent makes the event of one verdict.
func checkEvent(id Identity, c Check, v verdict, timestamp int64) *event {
	rank := rankFine
	if v.status != CheckOK {
		rank = rankUrgent
	}
	return &event{
		key:  eventKey{TopicHealthCheck, c.ID},
		rank: rank,
		msg: &healthpb.HealthCheck{
			Id:          c.ID,
			Description: c.Description,
			Timestamp:   timestamp,
			Interval:    seconds(c.Interval),
			Ttl:         seconds(c.TTL),
			Service:     id.short(),
			Status:      v.status,
			Results:     v.results,
			Error:       v.text,
		},
	}
}

// statusEvent carries all that is known of the node. Other events do not: it is
// the same each time, and checks are many.
func (r *Reporter) statusEvent(status healthpb.Status_Status, info string, timestamp int64) *event {
	rank := rankUrgent
	if status == NodeStopped {
		rank = rankStopped
	}
	id := r.id
	id.Address = *r.address.Load()
	return &event{
		key:  eventKey{topic: TopicStatus},
		rank: rank,
		msg: &healthpb.Status{
			Service:   id.long(),
			Status:    status,
			Info:      info,
			Timestamp: timestamp,
			Interval:  seconds(r.opts.interval),
			Ttl:       seconds(r.opts.ttl),
		},
	}
}

// statsEvent tells what was used since the event before.
func (r *Reporter) statsEvent() *event {
	stats := &healthpb.Stats{
		Service:   r.id.short(),
		Timestamp: r.stamps.now(),
		Interval:  seconds(r.opts.interval),
		Ttl:       seconds(r.opts.ttl),
		Runtime:   runtimeFigures(),
		Endpoints: r.endpoints.collect(),
	}
	now := readUsage()
	now.since(r.usage).fill(stats)
	r.usage = now
	return &event{key: eventKey{topic: TopicStats}, rank: rankStats, msg: stats}
}
