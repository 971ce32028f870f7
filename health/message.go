package health

import (
	"sync/atomic"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// seconds rounds up, so that no event promises a shorter interval than it has.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// timestamps makes the timestamps of events. They order the events, so they never go
// back: if the clock was set back, newer events would count as older. The zero value
// is usable.
type timestamps struct{ last atomic.Int64 }

// now returns the time in unix seconds or, while the clock is behind, the last
// timestamp.
func (s *timestamps) now() int64 { return s.after(time.Now().Unix()) }

func (s *timestamps) after(unix int64) int64 {
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

// checkEvent makes the event of one run of a check.
func checkEvent(id Identity, c Check, result checkResult, timestamp int64) *event {
	rank := rankOK
	if result.status != CheckOK {
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
			Service:     id.service(),
			Status:      result.status,
			Results:     result.results,
			Error:       result.text,
		},
	}
}

// statusEvent carries the address and metadata of the node. Other events do not,
// because these are the same each time and checks are many.
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
			Service:   id.fullService(),
			Status:    status,
			Info:      info,
			Timestamp: timestamp,
			Interval:  seconds(r.opts.interval),
			Ttl:       seconds(r.opts.ttl),
		},
	}
}

// statsEvent makes the event with what was used since the last one.
func (r *Reporter) statsEvent() *event {
	stats := &healthpb.Stats{
		Service:   r.id.service(),
		Timestamp: r.timestamps.now(),
		Interval:  seconds(r.opts.interval),
		Ttl:       seconds(r.opts.ttl),
		Runtime:   runtimeStats(),
		Endpoints: r.endpoints.collect(),
	}
	now := readUsage()
	now.since(r.usage).fill(stats)
	r.usage = now
	return &event{key: eventKey{topic: TopicStats}, rank: rankStats, msg: stats}
}
