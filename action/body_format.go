package action

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// bodyFormat is a format of bodies in which a text that is not encoded can break the
// rest.
type bodyFormat struct {
	name     string
	function string // of templates, that encodes a text
	// shape describes the structure of a body without its texts. It fails if the body
	// is not of the format.
	shape  func(body string) (string, error)
	encode func(text string) string
}

// remedy returns how to write a field in a template.
func (f *bodyFormat) remedy(field string) string {
	remedy := fmt.Sprintf("{{%s %s}}", f.function, field)
	if f.function == "json" {
		remedy += ", without quotes around it"
	}
	return remedy
}

// encodeJSON encodes a text as the inside of a string of JSON.
func encodeJSON(text string) string {
	quoted, _ := json.Marshal(text) // a string never fails
	return string(quoted[1 : len(quoted)-1])
}

func shapeOfJSON(body string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return "", err
	}
	var b strings.Builder
	writeShape(&b, v)
	return b.String(), nil
}

// writeShape writes the names and types in a document of JSON.
func writeShape(b *strings.Builder, v any) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(b, "%q:", name)
			writeShape(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, element := range v {
			writeShape(b, element)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "%T", v)
	}
}

func shapeOfForm(body string) (string, error) {
	if strings.ContainsAny(body, "\r\n") {
		return "", errors.New("it holds a line break")
	}
	fields, err := url.ParseQuery(body)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "%q %d,", name, len(fields[name]))
	}
	return b.String(), nil
}

func shapeOfXML(body string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(body))
	var b strings.Builder
	for elements := 0; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && elements == 0:
			return "", errors.New("it has no element")
		case errors.Is(err, io.EOF):
			return b.String(), nil
		case err != nil:
			return "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements++
			fmt.Fprintf(&b, "<%s %d>", token.Name.Local, len(token.Attr))
		case xml.EndElement:
			fmt.Fprintf(&b, "</%s>", token.Name.Local)
		}
	}
}
