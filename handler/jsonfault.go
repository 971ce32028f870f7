package handler

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/microhq/monitor-srv/text"
)

// jsonFault returns why raw cannot be decoded into msg: the field, or "request" if
// it is none, and what is wrong with it. err is the error of the decoder.
func jsonFault(raw []byte, msg proto.Message, err error) error {
	var members map[string]json.RawMessage
	if wrong := json.Unmarshal(raw, &members); wrong != nil {
		if json.Valid(raw) {
			return badArgument("request", "want a JSON object, have %s", excerpt(raw))
		}
		return badArgument("request", "reading the JSON: %v", wrong)
	}
	fields := msg.ProtoReflect().Descriptor().Fields()
	known := make(map[string]protoreflect.FieldDescriptor)
	for i := range fields.Len() {
		known[string(fields.Get(i).Name())], known[fields.Get(i).JSONName()] = fields.Get(i), fields.Get(i)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, ok := known[name]
		if !ok {
			continue
		}
		one, wrong := json.Marshal(map[string]json.RawMessage{name: members[name]})
		if wrong == nil && readStock(one, msg.ProtoReflect().New().Interface()) != nil {
			return badArgument(name, "want %s, have %s", expectedValue(field), excerpt(members[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if _, ok := known[name]; !ok {
			return badArgument("request", "unknown field %.40q; known are %s", name, fieldNames(fields))
		}
	}
	return badArgument("request", "%v", err)
}

func fieldNames(fields protoreflect.FieldDescriptors) string {
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// excerpt cuts a value to a readable length.
func excerpt(raw []byte) string {
	const enough, mark = 40, "..."
	return text.Clip(string(raw), enough+len(mark), mark)
}

// expectedValue describes the values of a field of a request.
func expectedValue(field protoreflect.FieldDescriptor) string {
	what := "a JSON object"
	switch field.Kind() {
	case protoreflect.StringKind:
		what = "a string"
	case protoreflect.BoolKind:
		what = "true or false"
	case protoreflect.Int64Kind:
		what = fmt.Sprintf("a whole number from %d to %d", int64(math.MinInt64), int64(math.MaxInt64))
	case protoreflect.Uint64Kind:
		what = fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64))
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		var names []string
		for i := range values.Len() {
			names = append(names, fmt.Sprintf("%s (%d)", values.Get(i).Name(), values.Get(i).Number()))
		}
		what = "one of " + strings.Join(names, ", ")
	}
	if field.IsList() {
		return "a list, each of it " + what
	}
	return what
}
