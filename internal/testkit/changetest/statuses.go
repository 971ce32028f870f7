// Package changetest holds what the tests of all ways to change monitors expect.
package changetest

import (
	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
)

// Statuses returns the status of each error of a change, over RPC and over HTTP.
func Statuses() map[error]int {
	return map[error]int{
		access.ErrUnauthorized: 401,
		access.ErrNoToken:      403,
		access.ErrForbidden:    403,
		access.ErrTooMany:      429,
		&monitor.RateError{}:   429,
		monitor.ErrNotFound:    404,
		monitor.ErrExists:      409,
		monitor.ErrTooLarge:    413,
		monitor.ErrInvalid:     400,
		monitor.ErrFull:        507,
		monitor.ErrJournal:     503,
	}
}
