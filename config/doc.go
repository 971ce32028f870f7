// Package config reads the directory of configuration files and checks who may change
// them. It passes each section to the decoder of the package that defines it.
package config
