// Package action tells the world what monitors found. A Notice says what
// happened; an Action is one way to pass it on (a program, an HTTP call, a mail,
// a chat message, an event on the bus); a Deliverer holds a queue for each
// Receiver and keeps trying, so that a monitor never waits for an action.
//
// # What is promised
//
// Each failure and each recovery is delivered at least once, normally exactly
// once, in the order failure, recovery, and a recovery only to a receiver that
// was told of the failure, or in the same message. What is given up is counted
// and visible in State: what a receiver refuses for good (Permanent), what is
// older than a day, and, of one monitor, old incidents that are over and were
// never told when more than a thousand of those wait.
//
// With a Keeper that holds through the end of the process too: a notice is
// written down before it is told, so that it is told at least once, and at most
// once more for each sudden end, under the same key. A receiver that is
// Unreachable is told within a minute of its return, however long it was away;
// one that answers that it cannot is asked ever less often, up to every 5 minutes.
//
// Every notice carries the id of its incident, so that a receiver can drop a
// copy: as the header Idempotency-Key or Message-ID, the header
// X-Monitor-Incident, or the variable MONITOR_INCIDENT.
//
// # Kinds
//
// A kind is a function that decodes its keys into its own struct, checks them
// and returns an Action. Builtin lists them. A kind imports nothing of this
// project but package setting and, for programs, package command.
package action
