// Package document reads TOML and JSON strictly: into one kind of tree, with the
// place of each key, and from there into the structs of whoever takes the keys.
// What is wrong is reported all together, with its line and what was probably
// meant.
package document
