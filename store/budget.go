package store

import "github.com/microhq/monitor-srv/wire"

// maxBriefError bounds the error that is retained if there is no room for the results,
// in bytes.
const maxBriefError = 256

// size is the size of an entry in the budget of bytes. A shared description counts
// for each entry, so the sum is never too low.
func (e *entry) size() int64 {
	n := len(e.body)
	if e.description != nil {
		n += len(e.description.value)
	}
	return int64(n)
}

// briefBody returns the body that is retained of an update that exceeds the budget: the
// shortened error of a check, and nothing for other kinds.
func briefBody(ev *Event) []byte {
	if ev.Kind != KindCheck {
		return nil
	}
	text := shorten(errorOf(string(ev.Body)), maxBriefError)
	return wire.AppendString(nil, wire.HealthCheckError, text)
}
