package health

import "syscall"

func readUsage() usage {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return usage{}
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &exited, &kernel, &user); err != nil {
		return usage{}
	}
	return usage{user: duration(user), system: duration(kernel)}
}

// duration converts a time span, which Windows counts in 100 ns, to nanoseconds.
func duration(t syscall.Filetime) uint64 {
	return (uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime)) * 100
}
