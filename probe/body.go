package probe

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxCompressed bounds the compressed size of a body, in bytes. A body that does not
// shrink by compression is not a normal one.
const maxCompressed = 2 * maxBody

// readBody reads the body of a response, of at most limit bytes, and returns its size.
// It returns the content only if wanted.
func (p *httpProbe) readBody(resp *http.Response, limit int64, wanted bool) (body []byte, size int64, err error) {
	r := io.LimitReader(answerBody{resp.Body, p.explain}, maxCompressed)
	if p.unzip && resp.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(r)
		if errors.Is(err, io.EOF) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("decompressing the body: %w", err)
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
