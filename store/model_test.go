package store

import (
	"fmt"
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// model does what a store does by looking at everything all the time. It knows
// no caps, no indexes and no wheel.
type model struct {
	start   time.Time
	entries map[modelKey]*modelEntry
	log     map[modelKey][]string // transitions by key
	retain  time.Duration
}

type modelKey struct {
	kind Kind
	key
}

type modelEntry struct {
	ev              Event
	body            string
	arrival         time.Duration // of the event, or of the revival
	received, since int64
	timestamp       int64
	interval, ttl   time.Duration
	skewed          bool
	judged          string // status, or MISSING
	silent          bool
	hidden          bool // a check of a stopped node
	retired         bool // a status STOPPED after its ttl
	goneAt          time.Duration
	mark            *mark
}

func newModel() *model {
	return &model{
		start: time.Now(), retain: 24 * time.Hour,
		entries: map[modelKey]*modelEntry{}, log: map[modelKey][]string{},
	}
}

func keyOf(ev *Event) modelKey {
	k := modelKey{ev.Kind, key{string(ev.Service), string(ev.Version), string(ev.Node)}}
	if ev.Kind == KindCheck {
		k.key[3] = string(ev.ID)
	}
	return k
}

func statusName(kind Kind, status int32) string {
	if kind == KindStatus {
		return healthpb.Status_Status(status).String()
	}
	return healthpb.HealthCheck_Status(status).String()
}

func (m *model) note(k modelKey, from, to, why string) {
	if k.kind != KindStats && (from != to || why == "first report") {
		m.log[k] = append(m.log[k], from+"->"+to+": "+why)
	}
}

func (m *model) judge(k modelKey, e *modelEntry, to string, why string) {
	m.note(k, e.judged, to, why)
	is := func(s string) string {
		if s == "MISSING" {
			return "UNKNOWN"
		}
		return s
	}
	if is(e.judged) != is(to) {
		e.since = time.Now().Unix()
	}
	e.judged = to
}

func (m *model) status(k modelKey) *modelEntry {
	return m.entries[modelKey{KindStatus, key{k.key[0], k.key[1], k.key[2]}}]
}

func (m *model) stopSaid(k modelKey) bool {
	e := m.status(k)
	return e != nil && e.ev.Status == isStopped
}

// beforeStop reports whether an event is no newer than the STOPPED of its node.
func (m *model) beforeStop(k modelKey, e *modelEntry) bool {
	return k.kind != KindStatus && m.stopSaid(k) && e.timestamp <= m.status(k).timestamp
}

// advance judges everything as of now.
func (m *model) advance() {
	now := time.Since(m.start)
	var gone []modelKey // once all are judged
	for k, e := range m.entries {
		age := now - e.arrival
		fresh := e.interval + max(e.interval/2, 2*time.Second)
		quiet, over := age >= fresh, age >= max(e.ttl, fresh)
		past := (age / time.Second * time.Second).String()
		switch {
		case e.judged == "MISSING" || e.retired:
			if now >= e.goneAt {
				gone = append(gone, k)
			}
			continue
		case k.kind == KindStatus && e.ev.Status == isStopped:
			if over {
				e.retired, e.goneAt = true, now+m.retain
			}
			continue
		case k.kind == KindCheck && quiet && !e.silent && m.stopSaid(k):
			e.hidden = true
		case quiet && !e.silent && !e.hidden && k.kind != KindStats:
			e.silent = true
			why := "no report"
			if e.mark != nil {
				why = "only events older than the newest"
			}
			m.judge(k, e, "UNKNOWN", fmt.Sprintf("%s for %s (interval %s)", why, past, e.interval))
		}
		if over && e.hidden {
			gone = append(gone, k)
		} else if over {
			m.judge(k, e, "MISSING", fmt.Sprintf("missing: no report for %s (ttl %s)", past, e.ttl))
			e.goneAt = now + m.retain
		}
	}
	for _, k := range gone {
		switch e := m.entries[k]; {
		case e.judged == "MISSING":
			m.note(k, "MISSING", "FORGOTTEN", "forgotten: missing for 24h0m0s")
		case e.retired:
			past := ((now - e.arrival) / time.Second * time.Second).String()
			m.note(k, "STOPPED", "FORGOTTEN", "forgotten: stopped for "+past)
		}
		delete(m.entries, k)
	}
}

// put takes an event, which is not kept by the caller.
func (m *model) put(ev Event) Outcome {
	m.advance()
	now, unix := time.Since(m.start), time.Now().Unix()
	ts, skewed := ev.Timestamp, false
	if ts <= 0 {
		ts = unix
	} else if ts > unix && ts-unix > 300 {
		ts, skewed = unix, true
	} else if ts < unix-300 {
		skewed = true
	}
	k := keyOf(&ev)
	e := m.entries[k]
	if e != nil && ev.Timestamp <= 0 {
		ts = max(ts, e.timestamp)
	}
	if e != nil && ts < e.timestamp && !e.overtaken(&ev, now) && !e.stepped(ts, now) {
		return Outdated
	}
	if e != nil && ts == e.timestamp && ev.Timestamp > 0 && k.kind == KindStatus && e.ev.Status == isStopped && ev.Status != isStopped {
		return Outdated
	}
	first := e == nil
	if first {
		e = &modelEntry{judged: "UNKNOWN", since: unix}
		m.entries[k] = e
	}
	wasStopped := m.stopSaid(k) && !first
	interval, ttl := ev.Interval, ev.TTL
	if interval <= 0 {
		interval = 60
	}
	if ttl <= 0 {
		ttl = 3600
	}
	if ev.Kind == KindStats {
		ev.Status = 0
	}
	e.ev, e.body = ev, string(ev.Body)
	e.arrival, e.received, e.timestamp, e.skewed = now, unix, ts, skewed
	e.interval = time.Duration(min(interval, 3600)) * time.Second
	e.ttl = time.Duration(min(ttl, 86400)) * time.Second
	if ev.Source == healthpb.HealthCheck_MONITOR {
		e.interval = time.Duration(min(interval, 400*86400)) * time.Second
		e.ttl = time.Duration(min(ttl, 800*86400)) * time.Second
	}
	e.silent, e.hidden, e.retired, e.mark = false, false, false, nil
	e.hidden = ev.Timestamp > 0 && m.beforeStop(k, e)
	if first {
		m.note(k, "UNKNOWN", statusName(k.kind, ev.Status), "first report")
		e.judged = statusName(k.kind, ev.Status)
	} else {
		m.judge(k, e, statusName(k.kind, ev.Status), "reported")
	}
	if k.kind == KindStatus {
		m.nodeSaid(k, ev.Status == isStopped, wasStopped, now)
	}
	return Accepted
}

// forget drops an entry at once.
func (m *model) forget(k modelKey) bool {
	m.advance()
	e := m.entries[k]
	if e != nil {
		m.note(k, e.judged, "FORGOTTEN", "withdrawn")
		delete(m.entries, k)
	}
	return e != nil
}

// nodeSaid hides or shows the checks of a node.
func (m *model) nodeSaid(k modelKey, stop, wasStopped bool, now time.Duration) {
	for ck, c := range m.entries {
		if ck.kind == KindStatus || ck.key.compare(&k.key, 3) != 0 || c.judged == "MISSING" {
			continue
		}
		if stop && m.beforeStop(ck, c) {
			c.silent, c.hidden = false, true
		}
		if !stop && wasStopped && c.hidden {
			c.hidden, c.arrival = false, now
		}
	}
}

func (e *modelEntry) overtaken(ev *Event, now time.Duration) bool {
	interval := ev.Interval
	if interval <= 0 {
		interval = 60
	}
	every := min(e.interval, time.Duration(min(interval, 3600))*time.Second)
	return e.timestamp-e.received > 2 && now-e.arrival > every
}

func (e *modelEntry) stepped(ts int64, now time.Duration) bool {
	if e.mark != nil {
		ahead, passed := ts-e.mark.timestamp, now-e.mark.arrival
		diff := time.Duration(ahead)*time.Second - passed
		if ahead > 0 && diff.Abs() <= max(2*time.Second, e.interval/2) {
			return passed >= e.interval/2
		}
	}
	e.mark = &mark{ts, now}
	return false
}
