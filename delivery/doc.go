// Package delivery queues notifications and retries them, so that a monitor never
// waits for an action. A Deliverer has a queue for each Receiver, and in it a queue
// for each monitor.
//
// # Guarantees
//
// Each failure and each recovery is delivered at least once, normally exactly once,
// in the order failure, recovery. A recovery is delivered only to a receiver that
// was notified of the failure, or in the same message. Notifications are given up
// in three cases, which Counts shows: a permanent error, an age of more than a day,
// and, for one receiver, more than a thousand pending notifications about older
// incidents that are over.
//
// With a Persister these guarantees survive the process. A notification is persisted
// before it is sent, so that it is sent at least once, and at most once more for
// each crash, under the same key. A receiver that is Unreachable is notified within
// a minute of its return. A receiver that answers with errors is retried with a
// backoff of up to 5 minutes.
package delivery
