// Package web serves HTTP: the health of the instance and its monitors, for people,
// scripts and schedulers.
//
// goma's REST API is at the root: /list, /register, /monitor/ID, /verbosity and
// /version. Our own API is under /api/v1, with /healthz and /readyz at the root.
//
// A request passes these checks in order: limits of connections, Host, Origin,
// routing, role of the caller, type and size of the body. If one fails, the answer is
// a text that says what to do.
package web
