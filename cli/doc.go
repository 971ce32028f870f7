// Package cli is the command line of monitor-srv, a file per command: it knows flags
// and prints, and asks a running instance over HTTP.
package cli
