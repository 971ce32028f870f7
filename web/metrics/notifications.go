package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/microhq/monitor-srv/delivery"
)

type notificationFamilies struct{ info, up, pending, inFlight, attempts, notifications, latency *family }

func newNotificationFamilies(c *contract) notificationFamilies {
	return notificationFamilies{
		info:          c.gauge("receiver_info", "The kind of a receiver. The value is 1.", "receiver", "kind"),
		up:            c.gauge("receiver_up", "0 from an attempt that failed or was refused to the next one that succeeds, else 1.", "receiver"),
		pending:       c.gauge("notifications_pending", "Notifications that are not delivered yet.", "receiver"),
		inFlight:      c.gauge("notification_attempts_in_flight", "Attempts in progress.", "receiver"),
		attempts:      c.counter("notification_attempts_total", "Attempts to deliver, by result: delivered, refused (not repeated), failed and unreachable (repeated).", "receiver", "result"),
		notifications: c.counter("notifications_total", "Notifications that came to an end, by result (delivered, failed, withheld) and reason.", "receiver", "result", "reason"),
		latency:       c.histogram("notification_latency_seconds", "Time from the change of a monitor to the delivery of its notification.", "receiver"),
	}
}

// seriesOfReceiver is how many series a receiver has.
const seriesOfReceiver = 27

// collectReceivers adds the series of receivers. Those beyond the limit have none.
func (c *Collector) collectReceivers(out sink) {
	all := c.sources.Receivers()
	for i := range all[:min(len(all), c.limits.receivers)] {
		c.addReceiver(out, &all[i])
	}
	c.leaveOut(len(all)-c.limits.receivers, seriesOfReceiver)
}

func (c *Collector) addReceiver(out sink, r *delivery.ReceiverStatus) {
	f, name := &c.contract.notifications, newLabel("receiver", r.Name)
	out.add(f.info, 1, newLabel("kind", r.Kind), name)
	up := 0.0
	if r.OK {
		up = 1
	}
	out.add(f.up, up, name)
	out.add(f.pending, float64(r.Pending), name)
	out.add(f.inFlight, float64(r.InFlight), name)
	for _, a := range []struct {
		result string
		count  uint64
	}{
		{"delivered", r.Outcomes.Delivered}, {"refused", r.Outcomes.Refused},
		{"failed", r.Outcomes.Failed}, {"unreachable", r.Outcomes.Unreachable},
	} {
		out.add(f.attempts, float64(a.count), name, newLabel("result", a.result))
	}
	for _, n := range []struct {
		result, reason string
		count          uint64
	}{
		{"delivered", "", r.Delivered},
		{"failed", "refused", r.Refused}, {"failed", "expired", r.Expired}, {"failed", "dropped", r.Dropped},
		{"withheld", "superseded", r.Superseded}, {"withheld", "suppressed", r.Suppressed},
	} {
		out.add(f.notifications, float64(n.count), newLabel("reason", n.reason), name, newLabel("result", n.result))
	}
	out <- histogram(f.latency, r.Latency.Histogram, exemplars(r.Latency.Newest), r.Name)
}

// exemplars returns the newest notification of each bucket, with its incident.
func exemplars(newest []delivery.Exemplar) (all []prometheus.Exemplar) {
	for _, e := range newest {
		if !e.At.IsZero() {
			all = append(all, prometheus.Exemplar{Value: e.Took.Seconds(), Labels: prometheus.Labels{"incident": e.Incident}, Timestamp: e.At})
		}
	}
	return all
}
