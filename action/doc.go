// Package action sends notifications. A Notification says what happened; an Action is
// one way to send it: a program, an HTTP request, a mail, a chat message, an event on
// the bus. Package delivery holds the queues and retries.
//
// # Errors
//
// An Action makes one attempt. Its error says whether and when a retry makes sense:
// Permanent, RetryAfter, Unreachable, or any other error for a failure that may be
// temporary.
//
// # Idempotency
//
// Delivery is at least once. Every notification carries the id of its incident, so
// that a receiver can drop a copy: in the headers Idempotency-Key or Message-ID, in
// the header X-Monitor-Incident, or in the variable MONITOR_INCIDENT.
//
// # Kinds
//
// A kind is a function that decodes its keys into its own struct, checks them and
// returns an Action. Builtin lists them. A kind imports nothing of this project but
// packages setting and text and, for programs, package command.
package action
