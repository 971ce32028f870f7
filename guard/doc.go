// Package guard holds what its subpackages share: logging for go-micro, limits on
// repeated log lines, the state of a component, error texts without secrets, and
// retry delays.
//
// The subpackages make go-micro's stock parts safe to depend on. Package registry
// never blocks its callers, package broker restores lost subscriptions, and package
// transport answers every request and bounds its size. None of them knows about
// health checks.
package guard
