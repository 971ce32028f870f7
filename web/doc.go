// Package web is the HTTP door: how the instance is, for people, scripts and
// schedulers.
package web
