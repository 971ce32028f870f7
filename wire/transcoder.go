package wire

import (
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape knows how encoding/json writes a message: members in the order of the
// .proto file under the names they have there, numbers for enums and 64-bit
// integers, and nothing for what is zero. With it JSON is made from wire bytes,
// and wire bytes from JSON, without building messages.
type Transcoder struct {
	fields []fieldInfo
	// index of the member by field number, and -1 for none.
	index [maxNumber + 1]int8
}

// maxNumber and maxMembers are larger than any message here has.
const (
	maxNumber = 31
	maxFields = 16
)

type fieldInfo struct {
	number         uint64
	name, jsonName string // the two spellings
	key            []byte // the name, quoted, with a colon
	kind           fieldKind
	list           bool
	child          *Transcoder      // of a message
	values         map[string]int32 // of an enum by name
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
	kindMap // of strings by strings
)

func (m *fieldInfo) tag() uint64 {
	switch m.kind {
	case kindString, kindMessage, kindMap:
		return m.number<<3 | Bytes
	case kindDouble:
		return m.number<<3 | Fixed64
	}
	return m.number<<3 | Varint
}

// shapeOf returns the shape of a message, or nil if it has fields of a kind that
// shape does not write.
func NewTranscoder(md protoreflect.MessageDescriptor) *Transcoder {
	s := new(Transcoder)
	for i := range s.index {
		s.index[i] = -1
	}
	fields := md.Fields()
	if fields.Len() > maxFields {
		return nil
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		m, ok := newFieldInfo(fd)
		if !ok || fd.Number() > maxNumber {
			return nil
		}
		s.index[fd.Number()] = int8(i)
		s.fields = append(s.fields, m)
	}
	return s
}

func newFieldInfo(fd protoreflect.FieldDescriptor) (fieldInfo, bool) {
	m := fieldInfo{
		number:   uint64(fd.Number()),
		name:     string(fd.Name()),
		jsonName: fd.JSONName(),
		key:      []byte(strconv.Quote(string(fd.Name())) + ":"),
		list:     fd.IsList(),
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		m.kind = kindString
	case protoreflect.Int64Kind:
		m.kind = kindInt
	case protoreflect.Uint64Kind:
		m.kind = kindUint
	case protoreflect.EnumKind:
		m.kind = kindEnum
		m.values = make(map[string]int32)
		for i := range fd.Enum().Values().Len() {
			v := fd.Enum().Values().Get(i)
			m.values[string(v.Name())] = int32(v.Number())
		}
	case protoreflect.BoolKind:
		m.kind = kindBool
	case protoreflect.DoubleKind:
		m.kind = kindDouble
	case protoreflect.MessageKind:
		m.kind = kindMessage
		if fd.IsMap() {
			m.kind = kindMap
			return m, fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind
		}
		m.child = NewTranscoder(fd.Message())
		return m, m.child != nil
	default:
		return m, false
	}
	// Lists of numbers may be packed; there are none here.
	return m, !m.list || m.kind == kindString
}
