package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// target is what all programs probe, and where their alerts go. It knows a
// program and a monitor by the path, or by the address that is dialled.
//
//	/PROGRAM/INDEX        a probe; 200, or 500 while it is made to fail
//	/alert/PROGRAM/INDEX  an alert
//	127.1.A.B:PORT        a TCP probe of the monitor A*256+B
type target struct {
	url      string
	tcpPort  int
	server   *http.Server
	listener net.Listener

	mu      sync.Mutex
	starts  map[string][]start
	failing map[string]time.Time // by path of the probe: since when
	alerts  map[string]time.Time // the same: the first one
}

// start is the moment at which a probe of a monitor came in.
type start struct {
	monitor int
	at      time.Time
}

func newTarget() (*target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tcp, err := net.Listen("tcp4", "0.0.0.0:0") // all of 127.0.0.0/8 is ours
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	t := &target{
		url: "http://" + l.Addr().String(), tcpPort: tcp.Addr().(*net.TCPAddr).Port, listener: tcp,
		starts: map[string][]start{}, failing: map[string]time.Time{}, alerts: map[string]time.Time{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/alert/{program}/{monitor}", t.alert)
	mux.HandleFunc("/{program}/{monitor}", t.probe)
	t.server = &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = t.server.Serve(l) }()
	go t.accept()
	return t, nil
}

func (t *target) close() {
	_ = t.server.Close()
	_ = t.listener.Close()
}

func path(program string, monitor int) string { return fmt.Sprintf("/%s/%d", program, monitor) }

func (t *target) probe(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	monitor, err := strconv.Atoi(r.PathValue("monitor"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	program := r.PathValue("program")
	t.mu.Lock()
	t.starts[program] = append(t.starts[program], start{monitor, now})
	_, failing := t.failing[r.URL.Path]
	t.mu.Unlock()
	if failing {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "ok")
}

func (t *target) alert(_ http.ResponseWriter, r *http.Request) {
	now := time.Now()
	_, _ = io.Copy(io.Discard, r.Body)
	of := "/" + r.PathValue("program") + "/" + r.PathValue("monitor")
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.alerts[of]; !ok {
		t.alerts[of] = now
	}
}

func (t *target) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			return
		}
		now := time.Now()
		ip := conn.LocalAddr().(*net.TCPAddr).IP.To4()
		t.mu.Lock()
		t.starts["tcp"] = append(t.starts["tcp"], start{int(ip[2])<<8 | int(ip[3]), now})
		t.mu.Unlock()
		go func() {
			_ = conn.SetDeadline(now.Add(5 * time.Second))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}()
	}
}

// take returns the starts of the program since it was last asked.
func (t *target) take(program string) []start {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.starts[program]
	delete(t.starts, program)
	return s
}

// fail makes the probes of a path fail from now on.
func (t *target) fail(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing[path] = time.Now()
}

// delays returns how long it took from failure to alert, for the monitors of a
// program whose alert has come.
func (t *target) delays(program string, monitors int) []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []time.Duration
	for i := range monitors {
		p := path(program, i)
		if at, ok := t.alerts[p]; ok && !t.failing[p].IsZero() {
			all = append(all, at.Sub(t.failing[p]))
		}
	}
	return all
}
