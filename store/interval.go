package store

import (
	"time"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// Defaults and bounds of interval and ttl, in seconds. The publishers of 2016 to 2018
// always sent a ttl of 3600. The longer bounds are for publishers that are believed, see
// Store.Believe, and for monitors.
const (
	defaultInterval    = 60
	believableInterval = 3600
	maxInterval        = 400 * 24 * 3600

	defaultTTL    = 3600
	believableTTL = 24 * 3600
	maxTTL        = 2 * maxInterval
)

// clampSeconds clamps a published duration.
func clampSeconds(published, ifUnset, most int64) int64 {
	if published <= 0 {
		return ifUnset
	}
	return min(published, most)
}

// interval is a number of seconds up to maxInterval in two bytes: one above nine hours is
// rounded up to half hours.
type interval uint16

const (
	halfHours    interval = 1 << 15 // set if the rest counts half hours
	halfHour              = 1800    // seconds
	exactSeconds          = int64(halfHours - 1)
)

func packInterval(seconds int64) interval {
	if seconds <= exactSeconds {
		return interval(seconds)
	}
	return halfHours | interval((seconds+halfHour-1)/halfHour)
}

func (i interval) seconds() int64 {
	if i&halfHours == 0 {
		return int64(i)
	}
	return int64(i&^halfHours) * halfHour
}

// believed reports whether long intervals and ttls of the entry are believed.
func (e *entry) believed() bool {
	return e.node.believed || e.source == uint8(healthpb.HealthCheck_MONITOR)
}

// interval returns the interval that is believed.
func (e *entry) interval() time.Duration {
	seconds := e.claimedInterval.seconds()
	if seconds > believableInterval && !e.believed() {
		seconds = believableInterval
	}
	return time.Duration(seconds) * time.Second
}

// ttl returns the ttl that is believed.
func (e *entry) ttl() time.Duration {
	seconds := e.claimedTTL
	if seconds > believableTTL && !e.believed() {
		seconds = believableTTL
	}
	return time.Duration(seconds) * time.Second
}
