package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
	"unicode"
)

// maxText bounds what one template makes of one notice, in bytes.
const maxText = 64 << 10

// stamp is a time that prints as RFC 3339 in UTC.
type stamp struct{ time.Time }

func (s stamp) String() string {
	if s.IsZero() {
		return ""
	}
	return s.UTC().Format(time.RFC3339)
}

// templateData is what a template sees: values, and nothing that could do
// something. The first seven fields are goma's.
type templateData struct {
	Monitor  string
	Host     string
	Date     stamp
	Event    string
	Value    float64
	Duration int // seconds
	Version  string

	Time     stamp
	Since    stamp
	Incident string
	Error    string
	Seq      int64
	Failures int
	Labels   map[string]string
}

func dataOf(n Notice) templateData {
	return templateData{
		Monitor: n.Monitor, Host: n.Host, Date: stamp{n.Time}, Event: string(n.Event), Value: n.Value,
		Duration: n.seconds(), Version: n.Version,
		Time: stamp{n.Time}, Since: stamp{n.Since}, Incident: n.Incident, Error: n.Error,
		Seq: n.Seq, Failures: n.Failures, Labels: n.Labels,
	}
}

// parseTemplate reads the template of a key and tries it, so that a field that
// does not exist is found when the definition is read.
func parseTemplate(key, text string) (*template.Template, error) {
	funcs := template.FuncMap{"json": toJSON}
	t, err := template.New(key).Funcs(funcs).Option("missingkey=zero").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if _, err := render(t, Notice{}); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return t, nil
}

// toJSON returns v as JSON, for bodies that are.
func toJSON(v any) (string, error) {
	if s, ok := v.(stamp); ok {
		v = s.String()
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func render(t *template.Template, n Notice) (string, error) {
	var b limitedBuffer
	if err := t.Execute(&b, dataOf(n)); err != nil {
		return "", err
	}
	return b.String(), nil
}

// limitedBuffer takes maxText bytes and then fails.
type limitedBuffer struct{ bytes.Buffer }

var errLong = fmt.Errorf("longer than %d bytes", maxText)

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

// line returns text as one printable line of at most limit bytes: what breaks
// lines becomes a space; controls, and marks that turn the direction of writing
// around, are dropped.
func line(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1 // includes U+202E and its like
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}

// clean drops from a text of several lines what line drops, but keeps the lines.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) || unicode.IsSpace(r) && r != '\r' {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
}

// summary returns a notice as one line for people, without its host.
func summary(n Notice) string {
	name := line(n.Monitor, 200)
	var text string
	switch n.Event {
	case Recover:
		text = fmt.Sprintf("RECOVERED %s after %v", name, n.Duration.Round(time.Second))
	case Init:
		text = fmt.Sprintf("STARTED %s", name)
	case Repeat:
		text = fmt.Sprintf("STILL FAILING %s: %s", name, cause(n))
	default:
		text = fmt.Sprintf("FAILED %s: %s", name, cause(n))
	}
	if n.Incident != "" {
		text += " [" + line(n.Incident, 100) + "]"
	}
	return text
}

// cause returns what a failure is about.
func cause(n Notice) string {
	text := "value " + n.value()
	if n.Error != "" {
		text = line(n.Error, 300)
	}
	if !n.Since.IsZero() {
		text += " since " + stamp{n.Since}.String()
	}
	return text
}

// counts returns how many notices there are of each event, for people.
func counts(ns []Notice) string {
	var failed, recovered, repeated, started int
	for _, n := range ns {
		switch n.Event {
		case Recover:
			recovered++
		case Repeat:
			repeated++
		case Init:
			started++
		default:
			failed++
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{failed, "failed"}, {repeated, "still failing"}, {recovered, "recovered"}, {started, "started"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

var errNoNotice = errors.New("no notice given")
