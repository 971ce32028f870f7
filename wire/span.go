package wire

// span is the stretch of a message that holds the fields added to it, if they
// stand side by side. Its zero value is empty.
type Span struct {
	start, end int
	Scattered  bool // they do not stand side by side
}

func (s *Span) Add(from, to int) {
	if s.end == 0 {
		s.start = from
	} else if s.end != from {
		s.Scattered = true
	}
	s.end = to
}

func (s *Span) Of(b []byte) []byte { return b[s.start:s.end:s.end] }
