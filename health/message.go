package health

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// seconds rounds up, so that no event promises more than is held.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// checkEvent makes the event of one verdict.
func checkEvent(id Identity, c Check, v verdict) *event {
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
			Timestamp:   time.Now().Unix(),
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
		Timestamp: time.Now().Unix(),
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
