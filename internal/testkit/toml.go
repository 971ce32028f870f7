package testkit

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// DecodeTOML returns the decode function of a TOML text. Unknown keys are errors.
func DecodeTOML(text string) func(any) error {
	return func(v any) error {
		meta, err := toml.Decode(text, v)
		if err != nil {
			return err
		}
		if keys := meta.Undecoded(); len(keys) > 0 {
			return fmt.Errorf("unknown key %q", keys[0])
		}
		return nil
	}
}

// AskingMonitors returns monitors with the kinds of probes that ask others than
// their target: events, stats and RPC of go.micro.srv.monitor itself.
func AskingMonitors(timeout string) string {
	return fmt.Sprintf(`
[[monitor]]
name = "e"
timeout = "%[1]s"
probe = { type = "event", service = "go.micro.srv.monitor", check = "go.micro.srv.monitor.broker" }
[[monitor]]
name = "s"
timeout = "%[1]s"
max = 1e12
probe = { type = "stats", service = "go.micro.srv.monitor", metric = "heap_in_use" }
[[monitor]]
name = "r"
timeout = "%[1]s"
probe = { type = "rpc", service = "go.micro.srv.monitor", endpoint = "Monitor.Services", nodes = "all" }
`, timeout)
}
