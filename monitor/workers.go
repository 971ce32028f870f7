package monitor

import "sync"

// maxIdle bounds the goroutines that wait for the next probe, of which there are
// some fifty in a slot at 1,000 probes a second.
const maxIdle = 64

// workers run functions each on a goroutine, and keep some of these for the next:
// a probe needs a larger stack than a goroutine begins with, and growing it takes
// a fifth of the instructions of an HTTP probe.
type workers struct {
	work chan func()
	idle chan struct{} // a place for each that waits
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

// serve runs f, and then what comes next while it has a place to wait at.
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

// end returns when all that runs has ended. It is called once.
func (w *workers) end() {
	close(w.done)
	w.all.Wait()
}
