// Package handler answers the RPCs of the service Monitor (proto/monitor) from
// the store and the monitors of this instance.
package handler
