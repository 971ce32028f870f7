package action

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestT43BackIsToldWithinAMinute takes a receiver away for an hour: nobody
// listens, or connections hang for the whole deadline of an attempt. Whatever
// moment it comes back, it is told within a minute, once.
func TestT43BackIsToldWithinAMinute(t *testing.T) {
	for name, hang := range map[string]time.Duration{"refused": 0, "times out": DefaultTimeout} {
		for _, group := range []bool{false, true} {
			for _, outage := range []time.Duration{20 * time.Second, 5 * time.Minute, time.Hour, time.Hour + 17*time.Second, 23 * time.Hour} {
				t.Run(fmt.Sprint(name, ", group ", group, ", ", outage), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { outageOf(t, outage, hang, group) })
				})
			}
		}
	}
}

func outageOf(t *testing.T, outage, hang time.Duration, group bool) {
	begin := time.Now()
	f := newFake(group, func(context.Context, int, []Notice) error {
		if time.Since(begin) >= outage {
			return nil
		}
		time.Sleep(hang)
		return &Unreachable{errors.New("connection refused")}
	})
	d, _ := deliver(t, Options{})
	r := d.Add("r", f)
	const open = 5
	for i := range open {
		r.Enqueue(fail(fmt.Sprint("m", i), fmt.Sprint(i)))
	}
	time.Sleep(outage + time.Minute - time.Since(begin))
	told, calls := f.taken()
	if len(told) != open {
		t.Errorf("told %q a minute after the receiver came back, want all %d failures once", words(told), open)
	}
	least := time.Duration(0)
	for i := 1; i < len(calls) && calls[i-1].err != nil; i++ {
		wait := calls[i].at - calls[i-1].at
		if i > 15 { // the first ten may begin at once, and then it is doubled
			least = 30 * time.Second
		}
		if wait > 45*time.Second+hang/30 || wait < least {
			t.Errorf("attempt %d began %v after the one before, want %v to 45s", i+1, wait, least)
		}
	}
}

// TestT45AnswersKeepTheLongBackoff tells receivers that answer from those that
// are not there: they are not asked more often for it.
func TestT45AnswersKeepTheLongBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(false, down(3*time.Hour))
		d, _ := deliver(t, Options{})
		d.Add("r", f).Enqueue(fail("m", "1"))
		time.Sleep(4 * time.Hour)
		told, calls := f.taken()
		if words(told) != "fail:1" {
			t.Errorf("told %q", words(told))
		}
		checkBackoff(t, calls)
		different := map[time.Duration]bool{}
		for i := 10; i < len(calls); i++ {
			different[calls[i].at-calls[i-1].at] = true
		}
		if len(different) < 10 {
			t.Errorf("waits of %v: there is no jitter", different)
		}
	})
}

// refusing returns an address that refuses connections, and that nobody else can
// take: it is bound and does not listen.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// TestT43OnlyWhoHeardNothingIsUnreachable breaks an http action and a mail at each
// point.
func TestT43OnlyWhoHeardNothingIsUnreachable(t *testing.T) {
	closed := refusing(t)
	silent := villain(t, func(c net.Conn) { readRequest(c) })
	check := func(name string, a Action, want bool) {
		t.Helper()
		err := a.Notify(t.Context(), []Notice{testFail})
		var unreachable *Unreachable
		if err == nil || errors.As(err, &unreachable) != want || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %T %v, want unreachable %v", name, err, err, want)
		}
	}
	check("http, refused", build(t, "http", fmt.Sprintf("url_fail = \"http://%s/canary-path\"", closed)), true)
	check("http, no such host", build(t, "http", `url_fail = "http://nobody.invalid/canary-path"`), true)
	check("http, no address answers", build(t, "http", "url_fail = \"http://192.0.2.1:9/canary-path\"\ntimeout = \"200ms\""), true)
	check("http, no answer", build(t, "http", fmt.Sprintf("url_fail = \"http://%s/canary-path\"", silent)), false)
	check("notify, refused", build(t, "notify", fmt.Sprintf("url = \"ntfy://%s/canary-topic?scheme=http\"", closed)), true)
	check("mail, refused", build(t, "mail", mailTo(closed, `to = ["a@example.org"]`)), true)
	for _, stage := range stages {
		for fault, want := range map[string]bool{"hang": stage != ".", "drop": stage != ".", "flood": false, "451 later": false} {
			if stage == "EHLO" && fault == "451 later" {
				continue // it goes on with HELO
			}
			s := newBadServer(t, stage, fault, "AUTH PLAIN")
			a := build(t, "mail", mailTo(s.addr, "to = [\"a@example.org\"]\nuser = \"user\"\npassword = \"canary-password\"")).(*mailAction)
			a.timeout = 300 * time.Millisecond
			check("mail, "+stage+" "+fault, a, want)
		}
	}
	s := newBadServer(t, "", "")
	check("mail, STARTTLS stripped", build(t, "mail", mailTo(s.addr, "to = [\"a@example.org\"]\ntls = \"starttls\"")), false)
}
