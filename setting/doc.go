// Package setting defines the types of keys that kinds of probes and actions share:
// durations, secrets and TLS. Each decodes itself from a value of a TOML or JSON
// document by UnmarshalTOML, so that a key means the same in both.
package setting
