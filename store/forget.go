package store

// Forget removes the entry with the kind and identity of ev, whatever its state, and
// reports whether there was one. It is for what ends on purpose and must not alert, such
// as an unregistered monitor. The transition leads to FORGOTTEN.
func (s *Store) Forget(ev *Event) bool {
	s.advance()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lookup(ev)
	if e == nil {
		return false
	}
	now := s.clock.now()
	s.drop(e, withdrawn, now)
	return true
}
