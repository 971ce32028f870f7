// Package config reads the directory of files: which files there are, who may change
// them, and what they hold. It hands each section to the part of the program that it
// concerns.
package config
