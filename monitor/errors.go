package monitor

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/document"
)

var (
	// ErrNotFound says that no monitor has the id.
	ErrNotFound = errors.New("not found")
	// ErrExists says that another monitor has the name.
	ErrExists = errors.New("the name is already in use")
	// ErrOfFile says that a monitor is defined in a file, and cannot be unregistered.
	ErrOfFile = errors.New("it is defined in the file")
	// ErrFull says that no more monitors may be registered at run time.
	ErrFull = errors.New("too many monitors are registered")
	// ErrJournal says that a change could not be written to the journal.
	ErrJournal = errors.New("the state directory cannot be written")
	// ErrTooLarge says that a definition is larger than MaxDefinition.
	ErrTooLarge = fmt.Errorf("the definition is larger than %d bytes", MaxDefinition)
	// ErrInvalid is every error of the content of a definition.
	ErrInvalid = errors.New("the definition is invalid")
)

// A RateError says that monitors are registered too fast.
type RateError struct {
	// Max is the number of registrations per second.
	Max int
	// Wait is the time until the next registration, more than 0 and at most 1 s.
	Wait time.Duration
}

func (e *RateError) Error() string {
	return fmt.Sprintf("at most %d monitors may be registered per second: try again in 1s", e.Max)
}

// RetryAfter returns the time to wait.
func (e *RateError) RetryAfter() time.Duration { return e.Wait }

// invalidError is an ErrInvalid whose message is that of err.
type invalidError struct{ err error }

// shownErrors bounds the errors of a definition that the API answers.
const shownErrors = 20

// invalid marks an error of the content of a definition.
func invalid(err error) error {
	if err == nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	return &invalidError{document.FirstErrors(err, shownErrors)}
}

func (e *invalidError) Error() string        { return e.err.Error() }
func (e *invalidError) Unwrap() error        { return e.err }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// StatusCode returns the HTTP status code for an error of a change. RPC errors of
// go-micro have the same codes. known is false if the error is not one of this package
// or of package access.
//
// The table is in this package because it returns or passes on every error in it, and
// because handler and web both import it.
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
		{ErrOfFile, http.StatusConflict},
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
