package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"text/template"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// maxRendered bounds the output of one template for one notification, in bytes.
const maxRendered = 64 << 10

// timestamp is a time that prints as RFC 3339 in UTC.
type timestamp struct{ time.Time }

func (s timestamp) String() string {
	if s.IsZero() {
		return ""
	}
	return s.UTC().Format(time.RFC3339)
}

// templateData is what a template sees: values only, without methods that have
// effects. The first seven fields are goma's.
type templateData struct {
	Monitor  string
	Host     string
	Date     timestamp
	Event    string
	Value    float64
	Duration int // seconds
	Version  string

	Time     timestamp
	Since    timestamp
	Incident string
	Error    string
	Seq      int64
	Failures int
	Labels   map[string]string
}

func newTemplateData(n Notification) templateData {
	return templateData{
		Monitor: n.Monitor, Host: n.Host, Date: timestamp{n.Time}, Event: string(n.Event), Value: n.Value,
		Duration: n.seconds(), Version: n.Version,
		Time: timestamp{n.Time}, Since: timestamp{n.Since}, Incident: n.Incident, Error: n.Error,
		Seq: n.Seq, Failures: n.Failures, Labels: n.Labels,
	}
}

// parseTemplate parses the template of a key and renders it once, so that an unknown
// field is an error when the definition is loaded.
func parseTemplate(key, text string) (*template.Template, error) {
	funcs := template.FuncMap{"json": toJSON}
	t, err := template.New(key).Funcs(funcs).Option("missingkey=zero").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if _, err := render(t, Notification{}); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return t, nil
}

// toJSON is the template function json. A number that JSON has no form of is null.
func toJSON(v any) (string, error) {
	switch value := v.(type) {
	case timestamp:
		v = value.String()
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			v = nil
		}
	}
	b, err := json.Marshal(v)
	return string(b), err
}

func render(t *template.Template, n Notification) (string, error) {
	var b limitedBuffer
	if err := t.Execute(&b, newTemplateData(n)); err != nil {
		return "", err
	}
	return b.String(), nil
}

// limitedBuffer accepts maxRendered bytes and then fails.
type limitedBuffer struct{ bytes.Buffer }

var errTooLong = fmt.Errorf("the output is longer than %d bytes", maxRendered)

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// summary returns a notification as one line of text, without its host.
func summary(n Notification) string {
	name := text.Line(n.Monitor, 200)
	var line string
	switch n.Event {
	case Recover:
		line = fmt.Sprintf("RECOVERED %s after %v", name, n.Duration.Round(time.Second))
	case Init:
		line = fmt.Sprintf("STARTED %s", name)
	case Repeat:
		line = fmt.Sprintf("STILL FAILING %s: %s", name, failureReason(n))
	default:
		line = fmt.Sprintf("FAILED %s: %s", name, failureReason(n))
	}
	if n.Incident != "" {
		line += " [" + text.Line(n.Incident, 100) + "]"
	}
	return line
}

// failureReason returns the error or the value, and since when it fails.
func failureReason(n Notification) string {
	line := "value " + n.value()
	if n.Error != "" {
		line = text.Line(n.Error, 300)
	}
	if !n.Since.IsZero() {
		line += " since " + timestamp{n.Since}.String()
	}
	return line
}

// countSummary returns how many notifications there are of each event, as text.
func countSummary(ns []Notification) string {
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

var errNoNotification = errors.New("no notification given")
