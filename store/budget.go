package store

import "github.com/microhq/monitor-srv/wire"

// maxBriefError is how much of an error is kept when there is no room for the
// results, in bytes.
const maxBriefError = 256

// size is what an entry counts for in the budget of bytes. A description that
// many entries share counts for each, so the sum is never too low.
func (e *entry) size() int64 {
	n := len(e.body)
	if e.description != nil {
		n += len(e.description.value)
	}
	return int64(n)
}

// briefBody is what is kept of an update that the budget has no room for: the
// error of a check, shortened, and nothing of anything else.
func briefBody(ev *Event) []byte {
	if ev.Kind != KindCheck {
		return nil
	}
	text := shorten(errorOf(string(ev.Body)), maxBriefError)
	return wire.AppendString(nil, wire.HealthCheckError, text)
}
