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
	for _, c := range []struct {
		name   string
		policy Policy
		role   Role
		wish   Wish
		ok     bool
	}{
		{"nobody", open, None, Wish{Probe: "tcp"}, false},
		{"viewer", open, Viewer, Wish{Probe: "tcp"}, false},
		{"operator http", closed, Operator, Wish{Probe: "http"}, true},
		{"operator tcp", closed, Operator, Wish{Probe: "tcp"}, true},
		{"operator dns", closed, Operator, Wish{Probe: "dns"}, true},
		{"operator grpc", closed, Operator, Wish{Probe: "grpc"}, true},
		{"operator ping", closed, Operator, Wish{Probe: "ping"}, true},
		{"operator mysql", open, Operator, Wish{Probe: "mysql"}, false},
		{"operator postgres", open, Operator, Wish{Probe: "postgres"}, false},
		{"operator redis", open, Operator, Wish{Probe: "redis"}, false},
		{"operator rpc", open, Operator, Wish{Probe: "rpc"}, false},
		{"operator unknown", open, Operator, Wish{Probe: "HTTP"}, false},
		{"operator exec", open, Operator, Wish{Probe: "exec", Commands: command("/bin/true")}, false},
		{"operator writes an action", open, Operator, Wish{Probe: "tcp", Actions: []string{"http"}}, false},
		{"admin mysql", closed, Admin, Wish{Probe: "mysql", Actions: []string{"mail", "http"}}, true},
		{"admin unknown word", closed, Admin, Wish{Probe: "nosuch"}, true},
		{"admin exec, closed", closed, Admin, Wish{Probe: "exec", Commands: command("/bin/true")}, false},
		{"admin exec action, closed", closed, Admin, Wish{Probe: "tcp", Actions: []string{"mail", "exec"}, Commands: command("/bin/true")}, false},
		{"admin exec, open", open, Admin, Wish{Probe: "exec", Commands: command("id")}, true},
		{"admin exec, listed", narrow, Admin, Wish{Probe: "exec", Commands: command("/bin/true")}, true},
		{"admin exec, more arguments", narrow, Admin, Wish{Probe: "exec", Commands: command("/bin/true", "x")}, false},
		{"admin exec, fewer arguments", narrow, Admin, Wish{Probe: "exec", Commands: command("/usr/bin/check", "-w")}, false},
		{"admin exec, other path to it", narrow, Admin, Wish{Probe: "exec", Commands: command("true")}, false},
		{"admin exec, unclean path", narrow, Admin, Wish{Probe: "exec", Commands: command("/bin/../bin/true")}, false},
		{"admin exec, not said", narrow, Admin, Wish{Probe: "exec"}, false},
		{"admin exec, not said properly", narrow, Admin, Wish{Probe: "exec", Commands: []Command{{}}}, false},
		{"admin exec, second not listed", narrow, Admin, Wish{Probe: "exec", Actions: []string{"exec"}, Commands: append(command("/bin/true"), command("/bin/sh")...)}, false},
		{"admin exec, with variables", narrow, Admin, Wish{Probe: "exec", Commands: []Command{{Argv: []string{"/bin/true"}, Altered: true}}}, false},
		{"admin tcp, narrow", narrow, Admin, Wish{Probe: "tcp"}, true},
	} {
		err := c.policy.Permit(c.role, c.wish)
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
			for _, w := range []Wish{{Probe: kind}, {Probe: "tcp", Actions: []string{kind}}} {
				if err := (Policy{}).Permit(role, w); !errors.Is(err, ErrForbidden) {
					t.Errorf("%v, %+v: got %v, want %v", role, w, err, ErrForbidden)
				}
			}
		}
	}
}
