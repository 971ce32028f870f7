package web

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
)

func TestErrorsHaveTheStatusOfTheSharedTable(t *testing.T) {
	for err, want := range map[error]int{
		access.ErrUnauthorized:      401,
		access.ErrNoToken:           403,
		access.ErrForbidden:         403,
		access.ErrTooMany:           429,
		&monitor.RateError{}:        429,
		monitor.ErrNotFound:         404,
		monitor.ErrExists:           409,
		monitor.ErrTooLarge:         413,
		monitor.ErrInvalid:          400,
		monitor.ErrFull:             507,
		monitor.ErrJournal:          503,
		os.ErrDeadlineExceeded:      408,
		&http.MaxBytesError{}:       413,
		errors.New("anything else"): 400,
	} {
		if got := statusOf(fmt.Errorf("registering: %w", err)); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}
