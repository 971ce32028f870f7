package wire

import (
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Transcoder converts one type of message between its wire bytes and JSON
// without building messages. It writes what encoding/json writes: fields in the
// order of the .proto file under their names there, numbers for enums and 64-bit
// integers, and nothing for zero values.
type Transcoder struct {
	fields []fieldInfo
	// index of the field by number, -1 for none.
	index [maxNumber + 1]int8
}

// The largest field number and the most fields that a Transcoder handles.
const (
	maxNumber = 31
	maxFields = 16
)

// fieldInfo is what a Transcoder knows of one field.
type fieldInfo struct {
	number         uint64
	name, jsonName string // both are accepted in JSON
	key            []byte // the name, quoted, with a colon
	kind           fieldKind
	list           bool
	message        *Transcoder      // of kindMessage
	values         map[string]int32 // of kindEnum, by name
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
	for i := range t.index {
		t.index[i] = -1
	}
	fields := md.Fields()
	if fields.Len() > maxFields {
		return nil
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		fi, ok := newFieldInfo(fd)
		if !ok || fd.Number() > maxNumber {
			return nil
		}
		t.index[fd.Number()] = int8(i)
		t.fields = append(t.fields, fi)
	}
	return t
}

func newFieldInfo(fd protoreflect.FieldDescriptor) (fieldInfo, bool) {
	fi := fieldInfo{
		number:   uint64(fd.Number()),
		name:     string(fd.Name()),
		jsonName: fd.JSONName(),
		key:      []byte(strconv.Quote(string(fd.Name())) + ":"),
		list:     fd.IsList(),
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		fi.kind = kindString
	case protoreflect.Int64Kind:
		fi.kind = kindInt
	case protoreflect.Uint64Kind:
		fi.kind = kindUint
	case protoreflect.EnumKind:
		fi.kind = kindEnum
		fi.values = make(map[string]int32)
		for i := range fd.Enum().Values().Len() {
			v := fd.Enum().Values().Get(i)
			fi.values[string(v.Name())] = int32(v.Number())
		}
	case protoreflect.BoolKind:
		fi.kind = kindBool
	case protoreflect.DoubleKind:
		fi.kind = kindDouble
	case protoreflect.MessageKind:
		fi.kind = kindMessage
		if fd.IsMap() {
			fi.kind = kindMap
			return fi, fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind
		}
		fi.message = NewTranscoder(fd.Message())
		return fi, fi.message != nil
	default:
		return fi, false
	}
	// A list of numbers may be packed, which is not supported.
	return fi, !fi.list || fi.kind == kindString
}
