package guard

import "sync"

// Tasks runs functions in goroutines until End.
type Tasks struct {
	running sync.WaitGroup
	mu      sync.Mutex
	ended   bool // guarded by mu
}

// Go runs f in a goroutine that End waits for. It returns false if End was called.
func (t *Tasks) Go(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.running.Go(f)
	return true
}

// End makes Go run nothing more, and waits for what it runs.
func (t *Tasks) End() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.running.Wait()
}
