package probe

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxCompressed bounds what is read of a body as it was sent, in bytes. A body
// that compresses to more than it is has something to hide.
const maxCompressed = 2 * maxBody

// readBody reads a body of at most limit bytes to its end and returns its size.
// The bytes themselves are returned only if wanted.
func readBody(resp *http.Response, limit int64, wanted, unzip bool) (body []byte, size int64, err error) {
	r := io.LimitReader(resp.Body, maxCompressed)
	if unzip && resp.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(r)
		if errors.Is(err, io.EOF) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("unpacking the body: %w", err)
		}
		r = zr
	}
	r = io.LimitReader(r, limit+1)
	if wanted {
		var buf bytes.Buffer
		size, err = buf.ReadFrom(r)
		body = buf.Bytes()
	} else {
		size, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return nil, size, fmt.Errorf("reading the body: %w", err)
	}
	if size > limit {
		return nil, size, fmt.Errorf("the body is larger than %d KiB", limit>>10)
	}
	return body, size, nil
}
