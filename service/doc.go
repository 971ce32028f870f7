// Package service is an instance of monitor-srv: its configuration, how its parts are
// wired, the order in which they start and stop, what it reports of itself, and the
// recorder that makes results of monitors health checks.
package service
