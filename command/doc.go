// Package command runs one untrusted program to its end, within a deadline: for exec
// probes and exec actions.
//
// A program gets its own process group, a small environment (see Spec.Env), the
// directory "/", a umask of 077 and three open files: an empty input and two pipes.
// MaxOutput bytes of each pipe are retained; the rest is read and discarded. When the
// context ends, the group gets SIGTERM, and SIGKILL a second later. Run returns at most
// about 1.5 s after the end of its context, whatever the program does.
//
// When the program has ended, what it left behind is killed, unless it is a Background
// program that ended in time. Processes in other sessions are found as orphans that
// this process adopts, by a mark that they inherit: see family and mark.
//
// Two kinds of processes survive: one that left its group and its session and removed
// both its marks, and one that no signal can end because it hangs in the kernel or runs
// as another user. Where that matters, let the service manager run the service in a
// control group.
//
// The program does not outlive this process: the kernel sends it SIGKILL when the
// thread that started it ends. Therefore each run locks an operating system thread
// for as long as it lasts. The children of the program are not covered by this. A
// Guardian kills them: a second process that ends shortly after this one.
package command
