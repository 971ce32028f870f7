// Package testkit holds the test helpers that several packages share. It imports
// nothing of this module, so the tests of every package may use it. Helpers that
// need go-micro, Consul's client or the NATS server are in subpackages, so that
// other tests do not link them.
package testkit
