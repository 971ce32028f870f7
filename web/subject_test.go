package web

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// subjectVariable, if set, makes this program a service under attack, in a process
// without the attackers.
const subjectVariable = "MONITOR_WEB_TEST_SUBJECT"

// TestSubjectOfSlowClientsServes is the service, if the variable says so, and else
// asks one.
// Faults: T67.
func TestSubjectOfSlowClientsServes(t *testing.T) {
	if os.Getenv(subjectVariable) != "" {
		serveSubject(t)
		return
	}
	s := startSubject(t)
	resp, err := http.Get("http://" + s.address + "/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []gomaInfo
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list) != 20 {
		t.Errorf("%d monitors, %v", len(list), err)
	}
	if now := s.look(t); len(now.Open) != 1 || now.Most != 1 {
		t.Errorf("connections: %+v, want one", now)
	}
}

// seen is what a subject tells of its connections.
type seen struct {
	// Open are the addresses and ports of the clients, Most is the most that an
	// address has had.
	Open []string
	Most int
}

// serveSubject serves until standard input ends. It prints where, and where it
// tells of its connections.
func serveSubject(t *testing.T) {
	all := &tracker{open: make(map[string]bool)}
	w := newWorld(t, options{
		web:    func(c *Config) { c.Log = testkit.QuietLog() },
		server: func(s *Server) { all.Listener, s.listener = s.listener, all },
	})
	for i := range 20 {
		w.want(registerCall(admin, largeDefinition(i)), 200)
	}
	w.client.CloseIdleConnections()
	testkit.Eventually(t, 10*time.Second, "the own connection is gone", func() bool { return len(all.clients()) == 0 })
	l := testkit.Listen(t)
	var mu sync.Mutex
	most := 0
	look := func() int {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, w.server.Connections().OfMost)
		return most
	}
	go func() {
		for range time.Tick(time.Millisecond) {
			look()
		}
	}()
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(rw).Encode(seen{all.clients(), look()})
		}))
	}()
	fmt.Println(w.server.Addr(), l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// subject is a service in a process of its own.
type subject struct {
	address, control string

	mu   sync.Mutex
	last seen      // guarded by mu
	at   time.Time // when last was asked for; guarded by mu
}

func startSubject(t *testing.T) *subject {
	t.Helper()
	cmd := testkit.Self("TestSubjectOfSlowClientsServes", subjectVariable)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_, out := testkit.StartChild(t, cmd)
	line, _ := out.ReadString('\n')
	s := &subject{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	if _, err := fmt.Sscan(line, &s.address, &s.control); err != nil {
		close(stopped)
		t.Fatalf("the subject says %q: %v", line, err)
	}
	go func() {
		defer close(stopped)
		s.watch(t, stop)
	}()
	return s
}

// watch looks at the connections ten times a second.
func (s *subject) watch(t *testing.T, stop chan struct{}) {
	for {
		begin := time.Now()
		now := s.look(t)
		s.mu.Lock()
		s.last, s.at = now, begin
		s.mu.Unlock()
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *subject) look(t *testing.T) seen {
	var now seen
	resp, err := http.Get("http://" + s.control)
	if err == nil {
		err = json.NewDecoder(resp.Body).Decode(&now)
		_ = resp.Body.Close()
	}
	if err != nil {
		t.Errorf("asking the subject for its connections: %v", err)
	}
	slices.Sort(now.Open)
	return now
}

// ended tells whether the service has ended a connection that was made at begin.
// The other side may be long in seeing it, for what is in the buffers of the
// kernel.
func (s *subject) ended(local string, begin time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := slices.BinarySearch(s.last.Open, local)
	// It takes a moment to be accepted.
	return !open && s.at.Sub(begin) > 500*time.Millisecond
}

// tracker is a listener that knows its open connections.
type tracker struct {
	net.Listener
	mu   sync.Mutex
	open map[string]bool // guarded by mu; addresses of clients
}

func (l *tracker) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c.RemoteAddr().String()] = true
	return &tracked{c, l}, nil
}

// clients returns where the connections come from that are open.
func (l *tracker) clients() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.AppendSeq([]string{}, maps.Keys(l.open))
}

type tracked struct {
	net.Conn
	all *tracker
}

func (c *tracked) Close() error {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	delete(c.all.open, c.RemoteAddr().String())
	return c.Conn.Close()
}
