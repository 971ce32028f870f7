package monitor

import "sync"

// maxIdle bounds the goroutines that wait for the next probe. About a hundred start per
// wake-up at 1,000 probes a second.
const maxIdle = 128

// workers run functions, each on a goroutine, and reuse up to maxIdle goroutines.
// A probe needs a larger stack than a new goroutine has; growing it takes a fifth
// of the instructions of an HTTP probe.
type workers struct {
	work chan func()
	idle chan struct{} // holds one token per waiting goroutine
	done chan struct{}
	all  sync.WaitGroup
}

func newWorkers() *workers {
	return &workers{work: make(chan func()), idle: make(chan struct{}, maxIdle), done: make(chan struct{})}
}

// run runs f and returns at once.
func (w *workers) run(f func()) {
	select {
	case w.work <- f:
	default:
		w.all.Go(func() { w.serve(f) })
	}
}

// serve runs f, then further functions until too many goroutines are idle.
func (w *workers) serve(f func()) {
	for {
		f()
		select {
		case w.idle <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-w.work:
			<-w.idle
		case <-w.done:
			return
		}
	}
}

// end waits for all running functions. It is called once.
func (w *workers) end() {
	close(w.done)
	w.all.Wait()
}
