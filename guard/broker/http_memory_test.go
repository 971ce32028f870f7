package broker_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// childEnv tells a process of the tests to be the broker that is measured: with
// one of its own, nothing but the broker's memory is counted.
const childEnv = "GUARD_TEST_HTTP_BROKER"

// blanks is blank without end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// runChild runs a broker until its input ends: it prints its address, and on each
// line what it has counted.
func runChild(t *testing.T) {
	b, _ := startHTTP(t, &registrytest.Fake{}, nil)
	n := countEvents(t, b, "t")
	debug.FreeOSMemory()
	fmt.Println("address", b.Address())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println("counted", n.Load(), b.Stats().Refused)
	}
}

// startChild starts this test once more as the broker.
func startChild(t *testing.T) (address string, pid int, counted func() string) {
	t.Helper()
	cmd := testkit.Self(t.Name(), childEnv)
	in, out := testkit.StartChild(t, cmd)
	lines := bufio.NewScanner(out)
	read := func(word string) string {
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), word+" "); ok {
				return text
			}
		}
		t.Fatalf("the broker's process said no %s: %v", word, lines.Err())
		return ""
	}
	return read("address"), cmd.Process.Pid, func() string {
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		return read("counted")
	}
}

// Faults: Trap10.
func TestHTTPBrokerRefusesABodyOf300MB(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		runChild(t)
		return
	}
	testkit.NoLeaks(t)
	address, pid, counted := startChild(t)
	testkit.ResetPeak(t, pid)
	before := testkit.PeakMemory(t, pid)
	var all errgroup.Group
	for _, path := range []string{"/", "/?id=x", "/other"} {
		all.Go(func() error { return post300MB(address, path, true) })
		all.Go(func() error { return post300MB(address, path, false) })
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	grown := testkit.PeakMemory(t, pid) - before
	t.Logf("six bodies of 300 MB: peak memory grew by %.1f MiB from %.1f MiB", float64(grown)/(1<<20), float64(before)/(1<<20))
	if grown > 16<<20 {
		t.Errorf("memory grew by %d MiB, want 16 at most", grown>>20)
	}
	if got := counted(); got != "0 6" {
		t.Errorf("events and refusals: %s, want 0 6", got)
	}
}

// post300MB posts with or without the length told, and wants a refusal.
func post300MB(address, path string, known bool) error {
	const size = 300 << 20
	transport := &http.Transport{DisableKeepAlives: true, WriteBufferSize: 64 << 10}
	client := &http.Client{Timeout: 60 * time.Second, Transport: transport}
	req, err := http.NewRequest(http.MethodPost, "http://"+address+path, io.LimitReader(blanks{}, size))
	if err != nil {
		return err
	}
	if known {
		req.ContentLength = size
	}
	req.Header.Set("Content-Type", "application/json")
	rsp, err := client.Do(req)
	if err != nil {
		return nil // cut, which is a refusal too
	}
	defer rsp.Body.Close()
	if rsp.StatusCode != http.StatusRequestEntityTooLarge && rsp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("%s: status %d", path, rsp.StatusCode)
	}
	return nil
}
