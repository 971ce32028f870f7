// Package discovery answers what probes may ask of the fleet: calls to services that
// the registry knows, and what services have published, from the store of this
// instance or by RPC from another.
package discovery
