// Package command runs one untrusted program to its end, within a deadline: for exec
// probes and exec actions.
//
// A program gets its own process group, a small environment (see Spec.Env), the
// directory "/", a umask of 077 and three open files: an empty input and two pipes.
// MaxOutput bytes of each pipe are retained; the rest is read and discarded. When the
// context ends, the group gets SIGTERM, and SIGKILL a second later. Processes that
// moved to another session are found by a mark in their environment and killed too.
// Run returns at most about 1.5 s after the end of its context, whatever the program
// does.
//
// Two kinds of processes survive: one that left its group and its session and cleared
// its environment, and one that no signal can end because it hangs in the kernel or
// runs as another user. Where that matters, let the service manager run the service
// in a control group.
//
// The program does not outlive this process: the kernel sends it SIGKILL when the
// thread that started it ends. Therefore each run locks an operating system thread
// for as long as it lasts. The children of the program are not covered by this. A
// Guardian kills them: a second process that ends shortly after this one.
package command
