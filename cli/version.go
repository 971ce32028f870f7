package cli

import "context"

// version is that of the program.
type version struct {
	Version string `json:"version"`
}

// runVersion prints the version of the program.
func runVersion(_ context.Context, inv *invocation) error {
	return inv.answer(inv.Version+"\n", version{inv.Version})
}
