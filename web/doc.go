// Package web is the HTTP door: how the instance is, and its monitors, for
// people, scripts and schedulers.
//
// goma's REST stands at the root: /list, /register, /monitor/ID, /verbosity and
// /version. What is ours is under /api/v1, and /healthz and /readyz.
//
// A request passes, in this order: the limits of connections, the check of the
// Host, that of the Origin, routing, the role of the caller, the type and size of
// the body. Whatever fails is answered by a text that says what to do.
package web
