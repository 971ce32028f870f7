// Package guard makes go-micro's stock parts safe to depend on: a registry that
// never blocks its callers, a broker whose subscriptions hold, and a transport
// that loses no answers and takes no unbounded requests. It knows nothing of
// health checks.
package guard
