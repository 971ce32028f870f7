package wire

import "google.golang.org/protobuf/reflect/protoreflect"

// Transcoder converts the JSON of one type of message to its wire bytes without
// building messages.
type Transcoder struct {
	fields []fieldInfo
}

// maxFields is the most fields that a Transcoder handles.
const maxFields = 32

// fieldInfo is what a Transcoder knows of one field.
type fieldInfo struct {
	number         uint64
	name, jsonName string // both are accepted in JSON
	kind           fieldKind
	list           bool
	message        *Transcoder      // of kindMessage
	values         map[string]int32 // of kindEnum, by name
	numbers        []int64          // of kindEnum
}

type fieldKind uint8

const (
	kindString fieldKind = iota
	kindInt
	kindUint
	kindEnum
	kindBool
	kindDouble
	kindMessage
	kindMap // map<string, string>
)

func (fi *fieldInfo) tag() uint64 {
	switch fi.kind {
	case kindString, kindMessage, kindMap:
		return fi.number<<3 | Bytes
	case kindDouble:
		return fi.number<<3 | Fixed64
	}
	return fi.number<<3 | Varint
}

// NewTranscoder returns a Transcoder for a message, or nil if the message has
// fields that it does not support.
func NewTranscoder(md protoreflect.MessageDescriptor) *Transcoder {
	t := new(Transcoder)
	fields := md.Fields()
	if fields.Len() > maxFields {
		return nil
	}
	for i := range fields.Len() {
		fi, ok := newFieldInfo(fields.Get(i))
		if !ok {
			return nil
		}
		t.fields = append(t.fields, fi)
	}
	return t
}

var scalarKinds = map[protoreflect.Kind]fieldKind{
	protoreflect.StringKind: kindString, protoreflect.Int64Kind: kindInt, protoreflect.Uint64Kind: kindUint,
	protoreflect.BoolKind: kindBool, protoreflect.DoubleKind: kindDouble,
}

func newFieldInfo(fd protoreflect.FieldDescriptor) (fieldInfo, bool) {
	fi := fieldInfo{
		number:   uint64(fd.Number()),
		name:     string(fd.Name()),
		jsonName: fd.JSONName(),
		list:     fd.IsList(),
	}
	switch fd.Kind() {
	case protoreflect.EnumKind:
		fi.kind = kindEnum
		fi.values = make(map[string]int32)
		for i := range fd.Enum().Values().Len() {
			v := fd.Enum().Values().Get(i)
			fi.values[string(v.Name())] = int32(v.Number())
			fi.numbers = append(fi.numbers, int64(v.Number()))
		}
	case protoreflect.MessageKind:
		fi.kind = kindMessage
		if fd.IsMap() {
			fi.kind = kindMap
			return fi, fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind
		}
		fi.message = NewTranscoder(fd.Message())
		return fi, fi.message != nil
	default:
		var known bool
		if fi.kind, known = scalarKinds[fd.Kind()]; !known {
			return fi, false
		}
	}
	// A list of numbers may be packed, which is not supported.
	return fi, !fi.list || fi.kind == kindString
}
