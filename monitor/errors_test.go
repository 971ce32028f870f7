package monitor

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
)

func TestEveryErrorOfAChangeHasOneStatusForBothDoors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{access.ErrUnauthorized, 401},
		{access.ErrNoToken, 403},
		{access.ErrForbidden, 403},
		{access.Enough(access.Viewer, access.Operator), 403},
		{access.ErrTooMany, 429},
		{&access.TooManyError{Wait: time.Second}, 429},
		{&RateError{Max: 10, Wait: time.Second}, 429},
		{ErrNotFound, 404},
		{ErrExists, 409},
		{ErrTooLarge, 413},
		{ErrInvalid, 400},
		{invalid(io.ErrUnexpectedEOF), 400},
		{invalid(ErrTooLarge), 413},
		{ErrFull, 507},
		{ErrJournal, 503},
	} {
		for _, err := range []error{c.err, fmt.Errorf("registering: %w", c.err)} {
			if code, known := StatusCode(err); code != c.code || !known {
				t.Errorf("%v: got %d, %v, want %d", err, code, known, c.code)
			}
		}
	}
	for _, err := range []error{nil, io.EOF, errors.New("anything else")} {
		if code, known := StatusCode(err); known {
			t.Errorf("%v: got %d, want it not to be known", err, code)
		}
	}
}
