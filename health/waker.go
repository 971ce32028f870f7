package health

// waker makes a goroutine that receives from it look for work. Wakes that it has not
// received yet are one, so it is made with room for one.
type waker chan struct{}

func (w waker) send() {
	select {
	case w <- struct{}{}:
	default:
	}
}
