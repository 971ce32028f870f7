package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// process is a program that this one started.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	log  string
}

// start starts a program; what it prints goes to a file.
func (b *bench) start(name string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), log: filepath.Join(b.dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = b.dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	b.processes = append(b.processes, p)
	return p, nil
}

// stop ends the process, by force after five seconds.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (b *bench) stopAll() {
	for _, p := range b.processes {
		p.stop()
	}
}

// check fails with what the process printed if it has ended.
func (p *process) check() error {
	select {
	case <-p.done:
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended: %s\n%s", p.name, p.cmd.ProcessState, text[max(0, len(text)-2000):])
	default:
		return nil
	}
}

// cpu returns the CPU time of the process so far. The kernel counts it in
// hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of %s: %w", p.name, err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(string(f))
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of %s: %w", p.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory of a process, in megabytes of 2^20 bytes.
type memory struct {
	rss float64 // resident, pages of the program's file included
	own float64 // of that without a file behind it: heap and stacks
}

func (p *process) memory() (m memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return m, fmt.Errorf("read the memory of %s: %w", p.name, err)
	}
	for _, f := range []struct {
		key string
		to  *float64
	}{{"VmRSS:", &m.rss}, {"RssAnon:", &m.own}} {
		_, rest, _ := bytes.Cut(status, []byte(f.key))
		if _, err := fmt.Sscan(string(rest), f.to); err != nil {
			return m, fmt.Errorf("read the memory of %s: %w", p.name, err)
		}
		*f.to /= 1024
	}
	return m, nil
}

// sleep waits, but not beyond the end of the run or of the process.
func (p *process) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
		return p.check()
	case <-time.After(d):
		return nil
	}
}

// answers waits until the URL answers with 200.
func (p *process) answers(ctx context.Context, url string) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if rsp, err := client.Get(url); err == nil {
			_ = rsp.Body.Close()
			if rsp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := p.sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s does not answer at %s:\n%s", p.name, url, text)
}

// freePort returns a port of the loopback interface that is free now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
