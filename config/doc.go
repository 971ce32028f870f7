// Package config reads the directory of files: which files there are, who may change
// them, what they hold, and when they have changed. It hands each section to the part
// of the program that it concerns.
package config
