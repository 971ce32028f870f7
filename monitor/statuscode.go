package monitor

import (
	"errors"
	"net/http"

	"github.com/microhq/monitor-srv/access"
)

// StatusCode returns the status that REST and RPC answer an error of a change
// with: RPC errors of go-micro carry HTTP's codes. known is false if neither this
// package nor package access made the error.
//
// The table is here because the changes are here: this package returns or passes
// on every error in it, and handler and web both import it.
func StatusCode(err error) (code int, known bool) {
	if errors.As(err, new(*RateError)) {
		return http.StatusTooManyRequests, true
	}
	for _, row := range []struct {
		err  error
		code int
	}{
		{access.ErrNoToken, http.StatusForbidden},
		{access.ErrUnauthorized, http.StatusUnauthorized},
		{access.ErrForbidden, http.StatusForbidden},
		{access.ErrTooMany, http.StatusTooManyRequests},
		{ErrNotFound, http.StatusNotFound},
		{ErrExists, http.StatusConflict},
		{ErrFull, http.StatusInsufficientStorage},
		{ErrJournal, http.StatusServiceUnavailable},
		{ErrTooLarge, http.StatusRequestEntityTooLarge},
		{ErrInvalid, http.StatusBadRequest},
	} {
		if errors.Is(err, row.err) {
			return row.code, true
		}
	}
	return 0, false
}
