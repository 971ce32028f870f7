package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// serverWord makes the test binary an HTTP server, so that the CPU time of the server
// is not counted.
const serverWord = "a-server-to-be-probed"

func runServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	os.Exit(1)
}

// otherProcess starts that server and returns its URL.
func otherProcess(tb testing.TB) string {
	tb.Helper()
	_, out := testkit.StartChild(tb, exec.Command(os.Args[0], serverWord))
	address, err := out.ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return "http://" + strings.TrimSpace(address) + "/"
}

// paced runs 100 probes, each every 100 ms, evenly spread: 1,000 a second, as
// monitors do, and reports the CPU time of 1,000 of them.
func paced(b *testing.B, start func() func(context.Context) error) {
	const probes, every = 100, 100 * time.Millisecond
	b.ReportAllocs()
	begin, cpu := time.Now(), testkit.CPUTime(b)
	var wg sync.WaitGroup
	for i := range probes {
		wg.Go(func() {
			probe := start()
			for k := range b.N / probes {
				time.Sleep(time.Until(begin.Add(every*time.Duration(k) + every/probes*time.Duration(i))))
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				if err := probe(ctx); err != nil {
					b.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	b.ReportMetric((testkit.CPUTime(b)-cpu).Seconds()/float64(b.N/probes*probes)*1000, "CPU-s/1000")
}

// BenchmarkHTTPPaced reports what target 6 of the performance plan bounds by
// 0.12 s, but for the work of the loop around it.
func BenchmarkHTTPPaced(b *testing.B) {
	url := otherProcess(b)
	paced(b, func() func(context.Context) error {
		p := httpProbeOf(b, url)
		return func(ctx context.Context) error {
			_, err := p.Probe(ctx)
			return err
		}
	})
}

// BenchmarkHTTPBarePaced does the same by a plain http.Client for each target.
func BenchmarkHTTPBarePaced(b *testing.B) {
	url := otherProcess(b)
	paced(b, func() func(context.Context) error {
		client := &http.Client{Transport: &http.Transport{}}
		b.Cleanup(client.CloseIdleConnections)
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
	})
}

// BenchmarkHTTPProbe probes flat out. The figure holds the work of the server,
// which is in the same process.
func BenchmarkHTTPProbe(b *testing.B) {
	p := httpProbeOf(b, site(b).URL+"/status/200")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Probe(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
