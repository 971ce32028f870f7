package cli

import "context"

// runVersion prints the version of the program.
func runVersion(_ context.Context, inv *invocation) error { return inv.say(inv.Version) }
