package store

// Forget drops the entry that ev names by its kind and identity, whatever its
// state, and tells whether there was one. It is for what ends on purpose and
// shall raise nothing, such as a monitor that is unregistered. The transition
// leads to FORGOTTEN.
func (s *Store) Forget(ev *Event) bool {
	s.advance()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(ev)
	if e == nil {
		return false
	}
	now := s.clock.now()
	s.record(e, e.judgement(), judgedForgotten, withdrawn, now)
	if e.state.evictable() {
		s.queue(e).remove(e)
	} else {
		s.wheel.remove(e)
	}
	s.drop(e, now)
	return true
}
