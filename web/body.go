package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/microhq/monitor-srv/connlimit"
)

// readBody returns the body of a request, which must have the media type want.
func readBody(r *http.Request, want string) (string, error) {
	have, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || have != want {
		return "", &statusError{
			http.StatusUnsupportedMediaType,
			fmt.Errorf("the Content-Type %.60q is not accepted here: send %s", r.Header.Get("Content-Type"), want),
		}
	}
	if r.ContentLength > maxBody {
		return "", tooLarge(nil)
	}
	conn := connlimit.Of(r)
	conn.Wait()
	defer conn.Serve()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if errors.As(err, new(*http.MaxBytesError)) {
		return "", tooLarge(err)
	}
	if err != nil {
		return "", fmt.Errorf("reading the body: %w", err)
	}
	return string(text), nil
}

func tooLarge(cause error) error {
	return &statusError{
		http.StatusRequestEntityTooLarge,
		errors.Join(fmt.Errorf("the body is larger than %d bytes", maxBody), cause),
	}
}
