package monitor

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

func TestEveryErrorOfAChangeHasOneStatusForBothDoors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{access.ErrUnauthorized, 401},
		{access.ErrNoToken, 403},
		{access.ErrForbidden, 403},
		{access.Enough(access.Viewer, access.Operator), 403},
		{access.ErrTooMany, 429},
		{&access.TooManyError{Wait: time.Second}, 429},
		{&RateError{Max: 10, Wait: time.Second}, 429},
		{ErrNotFound, 404},
		{ErrExists, 409},
		{ErrTooLarge, 413},
		{ErrInvalid, 400},
		{invalid(io.ErrUnexpectedEOF), 400},
		{invalid(ErrTooLarge), 413},
		{ErrFull, 507},
		{ErrJournal, 503},
	} {
		for _, err := range []error{c.err, fmt.Errorf("registering: %w", c.err)} {
			if code, known := StatusCode(err); code != c.code || !known {
				t.Errorf("%v: got %d, %v, want %d", err, code, known, c.code)
			}
		}
	}
	for _, err := range []error{nil, io.EOF, errors.New("anything else")} {
		if code, known := StatusCode(err); known {
			t.Errorf("%v: got %d, want it not to be known", err, code)
		}
	}
}

func TestRegisterTextTellsWhetherTheMonitorExisted(t *testing.T) {
	tcp := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		c := struct {
			Address string `toml:"address"`
		}{}
		return nil, decode(&c)
	}
	b := NewGroup(Config{Probes: map[string]probe.Kind{"tcp": tcp}, Log: testkit.QuietLog()})
	c := access.Caller{Role: access.Operator, Owner: "operator:1"}
	text := `{"name": "a", "probe": {"type": "tcp", "address": "h:1"}}`
	for i, want := range []Registered{{ID: 1, Name: "a"}, {ID: 1, Name: "a", Existed: true}} {
		if got, err := b.RegisterText(access.Policy{}, c, text); got != want || err != nil {
			t.Errorf("call %d: got %+v, %v, want %+v", i+1, got, err, want)
		}
	}
	for name, r := range map[string]struct {
		caller access.Caller
		text   string
		want   error
	}{
		"another caller's": {access.Caller{Role: access.Operator, Owner: "operator:2"}, text, ErrExists},
		"a viewer":         {access.Caller{Role: access.Viewer}, text, access.ErrForbidden},
		"not permitted":    {c, `{"name": "b", "probe": {"type": "exec", "command": "/bin/true"}}`, access.ErrForbidden},
		"too large":        {c, text + string(make([]byte, MaxDefinition)), ErrTooLarge},
		"malformed":        {c, `{`, ErrInvalid},
		"unknown key":      {c, `{"name": "b", "probe": {"type": "tcp", "adress": "h:1"}}`, ErrInvalid},
	} {
		if got, err := b.RegisterText(access.Policy{}, r.caller, r.text); !errors.Is(err, r.want) {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, r.want)
		}
	}
}

func TestStartOfWhatCannotBeBuiltIsAnErrorOfTheDefinition(t *testing.T) {
	gone := false
	tcp := func(func(any) error, probe.Env) (probe.Probe, error) {
		if gone {
			return nil, errors.New("ca_file: no such file")
		}
		return nil, nil
	}
	b := NewGroup(Config{Probes: map[string]probe.Kind{"tcp": tcp}, Recorder: noRecorder{}, Log: testkit.QuietLog()})
	c := access.Caller{Role: access.Operator}
	if _, err := b.RegisterText(access.Policy{}, c, `{"name": "a", "probe": {"type": "tcp"}}`); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(1); err != nil {
		t.Fatal(err)
	}
	gone = true
	if err := b.Start(1); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "ca_file: no such file") {
		t.Errorf("got %v, want what is wrong as an ErrInvalid", err)
	}
}
