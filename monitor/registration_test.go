package monitor

import (
	"reflect"
	"testing"

	"github.com/microhq/monitor-srv/access"
)

func TestRegistrationListsActionsAndCommands(t *testing.T) {
	for text, want := range map[string]access.Registration{
		`{"name":"a","probe":{"type":"tcp","address":"h:1"},"actions":[{"receiver":"ops"},{"type":"mail"}]}`: {
			Probe: "tcp", Actions: []string{"mail"},
		},
		`{"name":"a","probe":{"type":"exec","command":"/bin/true"}}`: {
			Probe: "exec", Commands: []access.Command{{Argv: []string{"/bin/true"}}},
		},
		`{"name":"a","probe":{"type":"exec","command":"/x","args":["a","b c"]},"actions":[{"type":"exec","command":"/y","env":[]}]}`: {
			Probe: "exec", Actions: []string{"exec"},
			Commands: []access.Command{{Argv: []string{"/x", "a", "b c"}}, {Argv: []string{"/y"}, CustomEnv: true}},
		},
		`{"name":"a","probe":{"type":"exec","command":"/x","args":[1]},"actions":[{"type":"exec","command":"/x","args":"y","dir":"/"}]}`: {
			Probe: "exec", Actions: []string{"exec"}, Commands: []access.Command{{}, {CustomEnv: true}},
		},
		`{"name":"a","probe":{"type":"\u0065xec","args":[]},"actions":[]}`: {
			Probe: "exec", Commands: []access.Command{{}},
		},
		"name = 'a'\n[probe]\ntype = 'Exec'\ncommand = '/x'": {Probe: "Exec"},
	} {
		d, err := ParseOne(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := d.Registration(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}
