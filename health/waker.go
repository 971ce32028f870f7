package health

// waker makes a goroutine that receives from it look for work. Wakes that it has not
// received yet are one.
type waker chan struct{}

func newWaker() waker { return make(waker, 1) }

func (w waker) send() {
	select {
	case w <- struct{}{}:
	default:
	}
}
