package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/microhq/monitor-srv/text"
)

// httpBody renders the body of a request.
type httpBody struct {
	template *template.Template
	format   *bodyFormat // nil for a format in which no text can break the others
	// chat says that the body is a message of a chat: mentions and links in the
	// error, which comes from outside, are broken up.
	chat bool
	// warnings are about fields that can break the format.
	warnings []error
}

// newHTTPBody parses the template of a body and tries it. explicit says that the
// media type was given, so that a body of another format is an error.
func newHTTPBody(source, mediaType string, explicit bool) (*httpBody, error) {
	t, err := parseTemplate("body", source)
	if err != nil {
		return nil, err
	}
	b := &httpBody{template: t, format: formatOf(mediaType)}
	labels := labelsOf(source)
	for _, n := range samples(labels) {
		body, err := render(t, n)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		b.chat = b.chat || b.format != nil && (b.format.name == "JSON" && isChatMessage(body) || b.format.name == "form" && isChatForm(body))
	}
	if b.format == nil {
		return b, nil
	}
	if err := b.tryPlain(labels); err != nil {
		err = fmt.Errorf("body: it is not valid %s even with plain texts: %w; write %s, or give the content_type that it has", b.format.name, err, b.format.remedy(".Error"))
		if explicit {
			return nil, err
		}
		b.warnings = []error{err}
		return b, nil
	}
	b.tryFields(labels)
	return b, nil
}

// tryPlain renders plain texts and returns why the result is not of the format.
func (b *httpBody) tryPlain(labels []string) error {
	for _, n := range samples(labels) {
		body, err := render(b.template, n)
		if err != nil {
			return err
		}
		if _, err := b.format.shape(body); err != nil {
			return err
		}
	}
	return nil
}

// tryFields renders texts that break the format if they are not encoded, a field at a
// time, and notes the fields that do.
func (b *httpBody) tryFields(labels []string) {
	for _, field := range sampleFields(labels) {
		for _, n := range samples(labels) {
			field.set(&n, hostileText)
			if body, err := render(b.template, n); err != nil || b.intact(body, n) {
				continue
			}
			b.warnings = append(b.warnings, fmt.Errorf("body: a quote, a line break or the like in %s breaks the %s: write %s",
				field.name, b.format.name, b.format.remedy(field.name)))
			break
		}
	}
}

// render returns the body for a notification. If a text would break its format, all
// texts are encoded: an alarm with too many backslashes is better than none.
func (b *httpBody) render(n Notification) (string, error) {
	n = cleaned(n)
	if b.chat {
		n.Error = text.Inert(n.Error)
	}
	body, err := render(b.template, n)
	if err != nil || b.format == nil || b.intact(body, n) {
		return body, err
	}
	encoded, err := render(b.template, b.encoded(n))
	if err != nil {
		return body, nil
	}
	if _, err := b.format.shape(encoded); err != nil {
		return body, nil
	}
	return encoded, nil
}

// intact reports whether a body has the shape that it has with encoded texts, so that
// no text adds, ends or breaks anything.
func (b *httpBody) intact(body string, n Notification) bool {
	got, err := b.format.shape(body)
	if err != nil {
		return false
	}
	encoded, err := render(b.template, b.encoded(n))
	if err != nil {
		return true
	}
	want, err := b.format.shape(encoded)
	return err != nil || got == want
}

// encoded returns n with all texts encoded for the format.
func (b *httpBody) encoded(n Notification) Notification {
	if math.IsNaN(n.Value) || math.IsInf(n.Value, 0) {
		n.Value = 0
	}
	return mapTexts(n, b.format.encode)
}

// cleaned returns n with short texts of valid UTF-8, which receivers of JSON insist on.
func cleaned(n Notification) Notification {
	return mapTexts(n, func(s string) string { return text.Clip(s, maxVariable, "…") })
}

// mapTexts returns n with each text replaced by f of it.
func mapTexts(n Notification, f func(string) string) Notification {
	for _, s := range []*string{&n.Monitor, &n.Host, &n.Incident, &n.Error, &n.Version} {
		*s = f(*s)
	}
	labels := make(map[string]string, len(n.Labels))
	for name, value := range n.Labels {
		labels[f(name)] = f(value)
	}
	n.Labels = labels
	return n
}

// hostileText breaks each format if it is not encoded.
const hostileText = "want \"^200\", have '<b>500 & x=1 %zz</b>'\r\n\\n \t🙂 ]]>"

// sampleField is a field of a notification that may hold any text.
type sampleField struct {
	name string // as in a template
	set  func(n *Notification, text string)
}

func sampleFields(labels []string) []sampleField {
	fields := []sampleField{
		{".Monitor", func(n *Notification, text string) { n.Monitor = text }},
		{".Error", func(n *Notification, text string) { n.Error = text }},
	}
	for _, label := range labels {
		fields = append(fields, sampleField{".Labels." + label, func(n *Notification, text string) {
			n.Labels = maps.Clone(n.Labels)
			n.Labels[label] = text
		}})
	}
	return fields
}

// samples returns a plain notification of each event.
func samples(labels []string) []Notification {
	n := Notification{Monitor: "db", Host: "host1", Incident: "01ABC", Error: "no answer", Version: "1", Seq: 1, Failures: 1, Value: 1, Labels: map[string]string{}}
	for _, label := range labels {
		n.Labels[label] = "x"
	}
	fail, repeat, over, start := n, n, n, n
	fail.Event, repeat.Event, over.Event, start.Event = Fail, Repeat, Recover, Init
	over.Error, start.Error, start.Incident = "", "", ""
	return []Notification{fail, repeat, over, start}
}

// labelName matches the labels that a template names.
var labelName = regexp.MustCompile(`\.Labels(?:\.(\w+)|\s+"([^"]+)")`)

func labelsOf(source string) (names []string) {
	for _, match := range labelName.FindAllStringSubmatch(source, 100) {
		if name := match[1] + match[2]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, "sample") // for a range over all
}

// isChatMessage reports whether a body in JSON is what chat services take: Slack,
// Mattermost, Rocket.Chat, Google Chat and Teams a text or parts, Discord a content,
// DingTalk, WeCom, Feishu and Matrix a type of message.
func isChatMessage(body string) bool {
	var fields map[string]any
	if json.Unmarshal([]byte(body), &fields) != nil {
		return false
	}
	for _, name := range []string{"text", "content", "msgtype", "msg_type"} {
		if _, ok := fields[name].(string); ok {
			return true
		}
	}
	for _, name := range []string{"attachments", "blocks", "embeds", "cards", "cardsV2"} {
		if _, ok := fields[name].([]any); ok {
			return true
		}
	}
	return false
}

// isChatForm reports whether a form is what chat services take: a text, or as Slack
// takes it, a message in JSON.
func isChatForm(body string) bool {
	form, err := url.ParseQuery(body)
	return err == nil && (form.Has("text") || form.Has("content") || isChatMessage(form.Get("payload")))
}

// formatOf returns the format of a media type, or nil.
func formatOf(mediaType string) *bodyFormat {
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return nil
	}
	_, suffix, _ := strings.Cut(kind, "+")
	switch {
	case kind == "application/json", kind == "text/json", suffix == "json":
		return &bodyFormat{name: "JSON", function: "json", shape: shapeOfJSON, encode: encodeJSON}
	case kind == "application/x-www-form-urlencoded":
		return &bodyFormat{name: "form", function: "urlquery", shape: shapeOfForm, encode: url.QueryEscape}
	case kind == "application/xml", kind == "text/xml", suffix == "xml":
		return &bodyFormat{name: "XML", function: "html", shape: shapeOfXML, encode: template.HTMLEscapeString}
	}
	return nil
}
