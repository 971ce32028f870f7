package monitor

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/probe"
)

func TestRegisterTextTellsWhetherTheMonitorExisted(t *testing.T) {
	tcp := func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		c := struct {
			Address string `toml:"address"`
		}{}
		return nil, decode(&c)
	}
	b := NewGroup(Config{Probes: map[string]probe.Kind{"tcp": tcp}, Log: slog.New(slog.DiscardHandler)})
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
	b := NewGroup(Config{Probes: map[string]probe.Kind{"tcp": tcp}, Recorder: noRecorder{}, Log: slog.New(slog.DiscardHandler)})
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
