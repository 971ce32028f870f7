package monitor

import (
	"fmt"
	"strings"
)

// monitorTOML returns a monitor with a fake probe and a fake inline action.
func monitorTOML(name, keys string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\n%s\n[monitor.probe]\ntype = \"fake\"\nname = %q\n[[monitor.actions]]\ntype = \"fake\"\n", name, keys, name)
}

// manyMonitors returns n monitors m0, m1 and so on.
func manyMonitors(n int, keys string) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(monitorTOML(fmt.Sprintf("m%d", i), keys))
	}
	return all.String()
}

// monitorWithActions returns a monitor with a fake probe and the TOML of its actions.
func monitorWithActions(name, actions string) string {
	return fmt.Sprintf("[[monitor]]\nname = %q\ninterval = 10\n[monitor.probe]\ntype = \"fake\"\nname = %q\n%s", name, name, actions)
}

func inlineAction(to string) string {
	return fmt.Sprintf("[[monitor.actions]]\ntype = \"fake\"\nto = %q\n", to)
}

// monitorFor returns a monitor whose actions name receivers.
func monitorFor(name string, receivers ...string) string {
	actions := ""
	for _, r := range receivers {
		actions += fmt.Sprintf("[[monitor.actions]]\nreceiver = %q\n", r)
	}
	return monitorWithActions(name, actions)
}

const opsReceiver = "[[receiver]]\nname = \"ops\"\ntype = \"fake\"\nto = \"ops\"\n"
