// Package config reads the directory of configuration files, checks who may change
// them and watches them for changes. It passes each section to the decoder of the
// package that defines it.
package config
