package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The functions below read the JSON that scripts write: whatever can only mean one thing
// is taken. Canonical JSON means what protojson makes of it.

// readEvent reads an event into m. If it is rejected, m has the service if that can be
// read.
func readEvent(m protoreflect.Message, msg []byte) rejection {
	if !json.Valid(msg) {
		var v json.RawMessage
		return rejection{malformed, fmt.Sprint(json.Unmarshal(msg, &v))}
	}
	msg = bytes.TrimSpace(msg)
	if first(msg) != '{' {
		return rejection{malformed, "want an object, got " + quote(msg)}
	}
	all, err := readMembers(msg)
	if err != nil {
		return rejection{malformed, err.Error()}
	}
	if err := readMessage(m, all); err != nil {
		return rejection{badValue, err.Error()}
	}
	return rejection{}
}

// members are those of a JSON object, by their names in lower case without _ and -.
type members map[string]json.RawMessage

func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// readMembers reads the object that raw is.
func readMembers(raw json.RawMessage) (members, error) {
	all, err := readObject(raw)
	if err != nil {
		return nil, err
	}
	folded := make(members, len(all))
	for name, value := range all {
		key := foldName(name)
		if _, twice := folded[key]; twice {
			value = nil // an error if a field has the name
		}
		folded[key] = value
	}
	return folded, nil
}

// readObject reads an object, or an empty list, which is what PHP writes for an empty
// object.
func readObject(raw json.RawMessage) (map[string]json.RawMessage, error) {
	if first(raw) == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0 {
		return nil, nil
	}
	if first(raw) != '{' {
		return nil, fmt.Errorf("want an object, got %s", quote(raw))
	}
	var all map[string]json.RawMessage
	err := json.Unmarshal(raw, &all)
	return all, err
}

// first returns the first byte of a value, or 0 if it is empty.
func first(raw json.RawMessage) byte {
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

func isNull(raw json.RawMessage) bool { return first(raw) == 'n' }

// quote returns a value as it is in an error.
func quote(raw json.RawMessage) string {
	const enough = 60
	if len(raw) > enough {
		return string(bytes.ToValidUTF8(raw[:enough], nil)) + "..."
	}
	return string(raw)
}

// firstOwn is the number of the first field of a message that only this service writes.
const firstOwn = 16

// readMessage reads the fields of m. Names are read in any case, with or without _ and -.
// Unknown members and those that only this service writes are ignored. A value that cannot
// be read leaves the others; the first error is returned.
func readMessage(m protoreflect.Message, all members) error {
	fields := m.Descriptor().Fields()
	var failed error
	for i := range fields.Len() {
		fd := fields.Get(i)
		raw, given := all[foldName(string(fd.Name()))]
		if !given || isNull(raw) || fd.Number() >= firstOwn && fd.Name() != "side" {
			continue
		}
		if err := readField(m, fd, raw, all); err != nil && failed == nil {
			failed = placed(string(fd.Name()), err)
		}
	}
	return failed
}

// placeError is an error with the place of a value in an event.
type placeError struct {
	place string
	err   error
}

func (e *placeError) Error() string { return e.place + ": " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

// placed adds a name before the place of an error.
func placed(name string, err error) error {
	if inner, ok := errors.AsType[*placeError](err); ok {
		return &placeError{name + "." + inner.place, inner.err}
	}
	return &placeError{name, err}
}

// readField reads one field. all are the members beside it.
func readField(m protoreflect.Message, fd protoreflect.FieldDescriptor, raw json.RawMessage, all members) error {
	switch {
	case len(raw) == 0:
		return errors.New("is given twice, in two spellings")
	case fd.IsMap():
		return readMap(m.Mutable(fd).Map(), raw)
	case fd.IsList():
		return readList(m.Mutable(fd).List(), raw)
	case fd.Message() != nil && fd.Message().Name() == "Service":
		return readService(m.Mutable(fd).Message(), raw, all)
	case fd.Message() != nil:
		inner, err := readMembers(raw)
		if err != nil {
			return err
		}
		return readMessage(m.Mutable(fd).Message(), inner)
	}
	value, err := readScalar(fd, raw)
	if err == nil {
		m.Set(fd, value)
	}
	return err
}

// readMap reads a map of texts.
func readMap(m protoreflect.Map, raw json.RawMessage) error {
	all, err := readObject(raw)
	for key, value := range all {
		m.Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(anyText(value)))
	}
	return err
}

// readList reads a list of messages. One value is a list of one; a text in a list of
// nodes is an id.
func readList(list protoreflect.List, raw json.RawMessage) error {
	items := []json.RawMessage{raw}
	if first(raw) == '[' {
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
	}
	for _, item := range items {
		m := list.NewElement()
		if err := readItem(m.Message(), item); err != nil {
			return err
		}
		list.Append(m)
	}
	return nil
}

func readItem(m protoreflect.Message, raw json.RawMessage) error {
	if m.Descriptor().Name() == "Node" && first(raw) != '{' {
		id, err := nameText(raw)
		m.Set(m.Descriptor().Fields().ByName("id"), protoreflect.ValueOfString(id))
		return placedUnlessNil("id", err)
	}
	all, err := readMembers(raw)
	if err != nil {
		return err
	}
	return readMessage(m, all)
}

func placedUnlessNil(name string, err error) error {
	if err == nil {
		return nil
	}
	return placed(name, err)
}

// readService reads a Service. It may be just its name, with version and nodes beside it.
// One node may be in the member node in place of nodes.
func readService(m protoreflect.Message, raw json.RawMessage, beside members) error {
	all := members{"name": raw}
	if first(raw) == '{' {
		var err error
		if all, err = readMembers(raw); err != nil {
			return err
		}
	} else {
		for _, name := range []string{"version", "node", "nodes"} {
			if value, given := beside[name]; given {
				all[name] = value
			}
		}
	}
	if node := all["node"]; len(all["nodes"]) == 0 && len(node) > 0 {
		all["nodes"] = node
	}
	return readMessage(m, all)
}
