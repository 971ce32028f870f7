//go:build unix && !solaris && !illumos && !aix

package health

import "syscall"

func readUsage() usage {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}
	}
	return usage{
		user:        uint64(r.Utime.Nano()),
		system:      uint64(r.Stime.Nano()),
		maxRSS:      uint64(r.Maxrss),
		inBlock:     uint64(r.Inblock),
		outBlock:    uint64(r.Oublock),
		volSwitches: uint64(r.Nvcsw),
		invSwitches: uint64(r.Nivcsw),
	}
}
