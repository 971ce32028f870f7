package testkit

import "sync"

// Go starts n goroutines that run f with their number, and returns the wait for them.
func Go(n int, f func(i int)) (wait func()) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	return wg.Wait
}

// Gauge counts what runs at once. The zero value is ready to use.
type Gauge struct {
	mu        sync.Mutex
	now, most int // guarded by mu
}

// Run runs f and counts it meanwhile.
func (g *Gauge) Run(f func()) {
	g.add(1)
	defer g.add(-1)
	f()
}

func (g *Gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

// Most returns the largest number that ran at once.
func (g *Gauge) Most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}
