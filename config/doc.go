// Package config is the directory of configuration files: when it has changed. What
// its files say is read by package monitor for now.
package config
