package guard

import (
	"context"

	"go-micro.dev/v4/registry"
)

type optionalKey struct{}

// Optional marks a registration that a service can do without, such as one for
// programs that may not exist any more. If it fails, for want of a permission say, a
// guarded registry logs that, retries, and stays available.
func Optional(o *registry.RegisterOptions) {
	if o.Context == nil {
		o.Context = context.Background()
	}
	o.Context = context.WithValue(o.Context, optionalKey{}, true)
}

// IsOptional reports whether Optional is among the options.
func IsOptional(o registry.RegisterOptions) bool {
	return o.Context != nil && o.Context.Value(optionalKey{}) != nil
}
