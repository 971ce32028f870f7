// Package command runs one program to its end, within a deadline, without
// trusting it: for exec probes and exec actions alike.
//
// A program gets a process group of its own, a small environment (see
// Spec.Env), the directory "/", a umask of 077 and three open files: an empty
// input and two pipes. Of each pipe MaxOutput bytes are kept, the rest is read
// and thrown away. When the context ends, the group is asked to stop by SIGTERM,
// killed by SIGKILL a second later, and whatever moved to another session is
// found by a mark in its environment and killed too. Run returns at most about
// 1.5 s after the end of its context, whatever the program does.
//
// What no mark can find is a process that left its group and its session and
// cleared its environment, and what no signal can end is a process stuck in the
// kernel or running as another user. Where that matters, let the service manager
// hold the whole service in a control group.
//
// The program dies with us: the kernel sends it SIGKILL when the thread that
// started it ends. Each run therefore has an operating system thread of its own,
// which lives as long as the run. The children of the program are not covered by
// this. A Guardian is what kills them: a second process that lives as long as this
// one and a moment longer.
package command
