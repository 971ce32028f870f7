package testkit

import (
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// NoLeaks fails the test if it leaves goroutines or file descriptors behind. Call
// it first, so that the check runs after all other cleanups.
func NoLeaks(t testing.TB) {
	t.Helper()
	// The first use of the network opens descriptors that stay open.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	goroutines, before := goleak.IgnoreCurrent(), OpenFiles(t)
	t.Cleanup(func() {
		// go-micro starts two goroutines when it is imported, which may be after
		// this test began. The cache of a stock client never ends.
		err := goleak.Find(goroutines,
			goleak.IgnoreAnyFunction("go-micro.dev/v4/config.(*config).run.func2"),
			goleak.IgnoreAnyFunction("go-micro.dev/v4/config/loader/memory.(*memory).Watch.func1"),
			goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
		if err != nil {
			t.Errorf("goroutines left: %v", err)
		}
		if !Within(5*time.Second, func() bool { return OpenFiles(t) <= before }) {
			t.Errorf("%d file descriptors are open, %d before the test", OpenFiles(t), before)
		}
	})
}

// OpenFiles returns the number of open file descriptors of this process.
func OpenFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
