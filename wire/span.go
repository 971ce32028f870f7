package wire

// Span is the range of a message from the first of some fields to the last one.
// The zero value is empty.
type Span struct {
	start, end int
	// Scattered is set if there are other fields between them.
	Scattered bool
}

// Add adds the field at msg[from:to], which must be behind those added before.
func (s *Span) Add(from, to int) {
	if s.end == 0 {
		s.start = from
	} else if s.end != from {
		s.Scattered = true
	}
	s.end = to
}

// Of returns the span of msg.
func (s *Span) Of(msg []byte) []byte { return msg[s.start:s.end:s.end] }
