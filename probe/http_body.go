package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html/charset"
)

const (
	// maxBody bounds a decompressed body; maxNumberBody bounds one that holds a
	// number or that a restricted probe inspects. Both are in bytes.
	maxBody       = 1 << 20
	maxNumberBody = 64 << 10
	// maxSaid and saidTimeout bound what is read of the body of an unexpected status.
	maxSaid     = 4 << 10
	saidTimeout = 200 * time.Millisecond
)

// page is what was read of a body.
type page struct {
	// text is the content as UTF-8; nil unless a condition or the value needs it.
	text []byte
	size int64
	// cut says why the rest was not read; empty if nothing is missing.
	cut string
	// show is set if errors may show parts of the text.
	show bool
}

// readBody reads the body of a response.
func (p *httpProbe) readBody(ctx context.Context, resp *http.Response) (page, error) {
	read := page{show: !p.restricted}
	if isStream(resp) && !p.needsText() {
		read.cut = "is a stream"
		return read, nil
	}
	r, err := p.openBody(ctx, resp)
	if err != nil {
		return read, err
	}
	limit := p.bodyLimit()
	if r = io.LimitReader(r, limit+1); p.needsText() {
		err = p.readText(ctx, resp, r, &read)
	} else {
		read.size, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return read, fmt.Errorf("reading the body: %w", err)
	}
	if read.size > limit {
		read.size, read.cut = limit, fmt.Sprintf("is larger than %d KiB", limit>>10)
		if p.measuresText() || !p.expect.onlyPatterns() {
			return read, fmt.Errorf("the body %s", read.cut)
		}
	}
	return read, nil
}

// needsText reports whether a condition or the value needs the text of the body.
func (p *httpProbe) needsText() bool { return p.measuresText() || p.expect.needsBody() }

func (p *httpProbe) measuresText() bool {
	return p.config.Measure == "body" || p.config.Measure == "json"
}

// bodyLimit returns how much of a body is read, in bytes.
func (p *httpProbe) bodyLimit() int64 {
	if p.config.Measure == "body" || p.restricted && p.needsText() {
		// An operator may register hundreds of these: limit the memory.
		return maxNumberBody
	}
	return maxBody
}

// openBody returns the unpacked body.
func (p *httpProbe) openBody(ctx context.Context, resp *http.Response) (io.Reader, error) {
	r := io.Reader(answerBody{resp.Body, func(err error) error { return p.explain(ctx, err) }})
	if resp.StatusCode == http.StatusPartialContent {
		return r, nil // a part of what is packed cannot be unpacked
	}
	r, err := unpack(r, strings.Join(resp.Header.Values("Content-Encoding"), ","))
	if err != nil {
		return nil, fmt.Errorf("decompressing the body: %w", err)
	}
	return r, nil
}

// readText reads the text of a body. Of one that need not end, it reads until the
// condition holds.
func (p *httpProbe) readText(ctx context.Context, resp *http.Response, r io.Reader, read *page) error {
	endless := resp.ContentLength < 0 && p.expect.onlyMustMatch() && !p.measuresText()
	holds := func(text []byte) bool {
		found, err := p.expect.body.match(ctx, asUTF8(text, resp))
		return found && err == nil
	}
	var text []byte
	buf := make([]byte, 4<<10)
	for next := 1; ; {
		n, err := r.Read(buf)
		text = append(text, buf[:n]...)
		read.size = int64(len(text))
		switch {
		case errors.Is(err, io.EOF):
			read.text = asUTF8(text, resp)
			return nil
		case err != nil && (!endless || ctx.Err() == nil || !holds(text)):
			return err
		case err != nil:
			read.text, read.cut = asUTF8(text, resp), "had not ended in time"
			return nil
		case endless && isStream(resp) && len(text) >= next:
			if holds(text) {
				read.text, read.cut = asUTF8(text, resp), "is a stream"
				return nil
			}
			next = len(text) + len(text)/4
		}
	}
}

// isStream reports whether a body is of a type that need not end.
func isStream(resp *http.Response) bool {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/event-stream" || kind == "multipart/x-mixed-replace"
}

// xmlEncoding finds the charset in the declaration of an XML document, which begins
// within the first maxDeclaration bytes.
var xmlEncoding = regexp.MustCompile(`^<\?xml\s[^>]*\bencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

const maxDeclaration = 256

// asUTF8 returns a text in UTF-8 without a byte order mark. The charset is that of the
// byte order mark, of the header, or, of an HTML page or of XML, that which it
// declares.
func asUTF8(text []byte, resp *http.Response) []byte {
	kind := resp.Header.Get("Content-Type")
	e, name, certain := charset.DetermineEncoding(text, kind)
	if declared := xmlEncoding.FindSubmatch(text[:min(len(text), maxDeclaration)]); !certain && declared != nil {
		if of, canonical := charset.Lookup(string(declared[1])); of != nil {
			e, name, certain = of, canonical, true
		}
	}
	if name != "utf-8" && (certain || strings.HasPrefix(strings.ToLower(kind), "text/html")) {
		if decoded, err := e.NewDecoder().Bytes(text); err == nil {
			text = decoded
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

// withText adds the start of the text to an error, if it may be shown.
func (p page) withText(err error) error {
	if !p.show {
		return err
	}
	return withSaid(err, p.text)
}

// withSaid adds what the target said to an error, for people.
func withSaid(err error, text []byte) error {
	said := titleOf(text)
	if said == "" {
		said = firstLine(text)
	}
	if said == "" {
		return err
	}
	return fmt.Errorf("%w: %q", err, said)
}

// titleOf returns the title of an HTML page, or "".
func titleOf(text []byte) string {
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) {
		return ""
	}
	_, after, _ := bytes.Cut(text, []byte("<title>"))
	title, _, _ := bytes.Cut(after, []byte("</title>"))
	return printable(string(title))
}

// statusError adds to an unexpected status what the target said with it, as far as it
// says it at once.
func (p *httpProbe) statusError(ctx context.Context, resp *http.Response, err error) error {
	if p.restricted {
		return err
	}
	late := time.AfterFunc(saidTimeout, func() { _ = resp.Body.Close() })
	defer late.Stop()
	r, bad := p.openBody(ctx, resp)
	if bad != nil {
		return err
	}
	text, _ := io.ReadAll(io.LimitReader(r, maxSaid)) // what there is, is shown
	return withSaid(err, asUTF8(text, resp))
}
