// Package service is an instance of monitor-srv: its configuration, its wiring, the
// order of start and stop, its checks on itself, and the recorder that turns results
// of monitors into health checks.
package service
