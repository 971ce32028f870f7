// Package monitor runs monitors: it reads their definitions from TOML and JSON,
// probes, filters and judges, and hands notices to the actions.
//
// A document is read into a Set by Load or Parse, all errors of all files at
// once. A Group brings itself to a Set by Apply, and takes single definitions by
// Register. Each monitor has one probe at a time, in a steady phase; its result
// goes to the Recorder, and a change of its verdict to the receivers that its
// actions name or write out.
package monitor
