// Package health lets a go-micro service tell the monitoring service how it is.
package health
