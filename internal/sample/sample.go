// Package sample is the sample publisher of the demo and the examples: a service
// with one check that succeeds and one that fails.
package sample

import (
	"context"
	"errors"
	"maps"

	"github.com/microhq/monitor-srv/health"
)

// Name and Version of the service that publishes them.
const (
	Name    = "go-server"
	Version = "1.0.0"
)

// Checks returns ping, which succeeds, and pong, which fails.
func Checks() []health.Check {
	return []health.Check{
		check("ping", "This is a ping healthcheck that succeeds", map[string]string{
			"foo": "bar", "label": "cruft", "metric": "1", "msg": "a successful check", "stats": "123.0",
		}, nil),
		check("pong", "This is a pong healthcheck that fails", map[string]string{
			"foo": "ugh", "label": "", "metric": "-0.0001", "msg": "a catastrophic failure occurred", "stats": "NaN",
		}, errors.New("Unknown exception")), //nolint:staticcheck // the words of the README of 2015
	}
}

// check returns a check that always has the same results.
func check(name, description string, results map[string]string, err error) health.Check {
	return health.Check{
		ID: "go.micro.healthcheck." + name, Description: description,
		Run: func(context.Context) (map[string]string, error) { return maps.Clone(results), err },
	}
}
