// Package discovery answers what probes may ask about the fleet. It calls services
// that the registry knows, and looks up what services have published, in the store of
// this instance or by RPC in another.
package discovery
