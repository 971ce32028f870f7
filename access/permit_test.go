package access

import (
	"errors"
	"testing"
)

func TestPermitTable(t *testing.T) {
	list, err := parseExecAllow("/bin/true\n/usr/bin/check -w 10\n")
	if err != nil {
		t.Fatal(err)
	}
	command := func(argv ...string) []Command { return []Command{{Argv: argv}} }
	closed, open, narrow := Policy{}, Policy{ExecAPI: true}, Policy{ExecAPI: true, ExecAllow: list}
	for _, kind := range []string{"http", "tcp", "dns", "grpc", "ping"} {
		if err := closed.Permit(Operator, Registration{Probe: kind}); err != nil {
			t.Errorf("operator %s: %v", kind, err)
		}
	}
	for _, kind := range []string{"mysql", "postgres", "redis", "rpc", "HTTP"} {
		if err := open.Permit(Operator, Registration{Probe: kind}); !errors.Is(err, ErrForbidden) {
			t.Errorf("operator %s: got %v, want %v", kind, err, ErrForbidden)
		}
	}
	for _, c := range []struct {
		name         string
		policy       Policy
		role         Role
		registration Registration
		ok           bool
	}{
		{"nobody", open, None, Registration{Probe: "tcp"}, false},
		{"viewer", open, Viewer, Registration{Probe: "tcp"}, false},
		{"operator exec", open, Operator, Registration{Probe: "exec", Commands: command("/bin/true")}, false},
		{"operator writes an action", open, Operator, Registration{Probe: "tcp", Actions: []string{"http"}}, false},
		{"admin mysql", closed, Admin, Registration{Probe: "mysql", Actions: []string{"mail", "http"}}, true},
		{"admin unknown word", closed, Admin, Registration{Probe: "nosuch"}, true},
		{"admin exec, closed", closed, Admin, Registration{Probe: "exec", Commands: command("/bin/true")}, false},
		{"admin exec action, closed", closed, Admin, Registration{Probe: "tcp", Actions: []string{"mail", "exec"}, Commands: command("/bin/true")}, false},
		{"admin exec, open", open, Admin, Registration{Probe: "exec", Commands: command("id")}, true},
		{"admin exec, listed", narrow, Admin, Registration{Probe: "exec", Commands: command("/bin/true")}, true},
		{"admin exec, more arguments", narrow, Admin, Registration{Probe: "exec", Commands: command("/bin/true", "x")}, false},
		{"admin exec, fewer arguments", narrow, Admin, Registration{Probe: "exec", Commands: command("/usr/bin/check", "-w")}, false},
		{"admin exec, other path to it", narrow, Admin, Registration{Probe: "exec", Commands: command("true")}, false},
		{"admin exec, unclean path", narrow, Admin, Registration{Probe: "exec", Commands: command("/bin/../bin/true")}, false},
		{"admin exec, not said", narrow, Admin, Registration{Probe: "exec"}, false},
		{"admin exec, not said properly", narrow, Admin, Registration{Probe: "exec", Commands: []Command{{}}}, false},
		{"admin exec, second not listed", narrow, Admin, Registration{Probe: "exec", Actions: []string{"exec"}, Commands: append(command("/bin/true"), command("/bin/sh")...)}, false},
		{"admin exec, with variables", narrow, Admin, Registration{Probe: "exec", Commands: []Command{{Argv: []string{"/bin/true"}, CustomEnv: true}}}, false},
		{"admin tcp, narrow", narrow, Admin, Registration{Probe: "tcp"}, true},
	} {
		err := c.policy.Permit(c.role, c.registration)
		if c.ok && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.ok && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: got %v, want %v", c.name, err, ErrForbidden)
		}
	}
}

// Faults: T73.
func TestNoSpellingOfExecIsPermitted(t *testing.T) {
	for _, kind := range []string{
		"exec", "Exec", "EXEC", "eXec", "exec ", " exec", "\texec", "exec\n", "exec\x00", "e\u200bxec", "\ufeffexec",
		"еxec", "ｅｘｅｃ", "exéc", "exe\u0441", "𝐞xec", "exec\u0301", "exec/", "./exec", "e-xec",
	} {
		for _, role := range []Role{Operator, Admin} {
			for _, w := range []Registration{{Probe: kind}, {Probe: "tcp", Actions: []string{kind}}} {
				if err := (Policy{}).Permit(role, w); !errors.Is(err, ErrForbidden) {
					t.Errorf("%v, %+v: got %v, want %v", role, w, err, ErrForbidden)
				}
			}
		}
	}
}
