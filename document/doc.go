// Package document decodes TOML and JSON strictly.
//
// A document is read into a tree of map[string]any, []any, string, bool, int64 and
// float64, so that both formats mean the same. Sections of the tree are decoded into
// structs. All errors of a document are reported together, with lines and
// suggestions.
package document
