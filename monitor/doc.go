// Package monitor runs monitors: it reads definitions from TOML and JSON, runs the
// probes, applies filters and thresholds, and passes changes to receivers.
//
// A Set holds the monitors and receivers of files. Apply makes a Group run that
// Set. Register adds single definitions at run time. A monitor runs one probe at a
// time, at fixed ticks. Each result goes to the Recorder. A change of the verdict
// goes to the receivers that the actions of the monitor name or define inline.
package monitor
