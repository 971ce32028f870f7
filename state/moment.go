package state

import (
	"strings"
	"time"

	"github.com/microhq/monitor-srv/clock"
	"github.com/microhq/monitor-srv/safefile"
)

// maxDown is the longest time for which this program is believed to have been down.
const maxDown = 30 * 24 * time.Hour

// bootID is where the kernel tells the id of the current boot.
const bootID = "/proc/sys/kernel/random/boot_id"

// Moment is a point in time that another process can compare with its own, also if
// somebody has set the clock meanwhile.
type Moment struct {
	// Boot is the id of the boot; empty if it is not known.
	Boot string `json:"boot,omitempty"`
	// SinceBoot is the time since then, suspended or not.
	SinceBoot time.Duration `json:"since_boot"`
	// Wall is the time of the wall clock.
	Wall time.Time `json:"wall"`
}

// Now returns the present Moment.
func Now() Moment {
	id, _ := safefile.Read(bootID, 1<<10) // without it, the wall clock counts
	return Moment{Boot: strings.TrimSpace(string(id)), SinceBoot: clock.SinceBoot(), Wall: time.Now().Round(0)}
}

// Since returns the time since an earlier Moment: by the clock of the boot if it is the
// same one, by the wall clock otherwise, and between 0 and 30 days.
func (m Moment) Since(earlier Moment) time.Duration {
	d := m.Wall.Sub(earlier.Wall)
	if m.Boot != "" && m.Boot == earlier.Boot {
		d = m.SinceBoot - earlier.SinceBoot
	}
	return min(max(0, d), maxDown)
}
