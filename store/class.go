package store

import healthpb "github.com/microhq/monitor-srv/proto/health"

// The class of a check is its status in two bits, its source in the next two, and
// whether a plain Query does not list it. The class of a status is made alike;
// figures have no status.
const (
	hiddenBit  class = 16
	retiredBit class = 4 // of a status, where a check has its source

	listedClasses  = allClasses & (1<<hiddenBit - 1)
	missingClasses = 1<<missingClass | 1<<(missingClass+1) | 1<<(missingClass+2)
	// missingClass plus the source is the class of what is missing. It is the
	// place that no source has.
	missingClass = hiddenBit | 3<<2
	retiredClass = retiredBit | class(healthpb.Status_STOPPED)
)

// class returns what the trees count the entry by.
func (e *entry) class() class {
	switch {
	case e.state == missing:
		return missingClass + class(e.source)
	case e.state == retired:
		return retiredClass
	case e.kind != KindCheck:
		return class(e.status)
	case e.state == stopped:
		return hiddenBit | class(e.source)<<2 | class(e.status)
	}
	return class(e.source)<<2 | class(e.status)
}

// checkClasses returns the classes of the checks that q selects by status and
// source.
func checkClasses(q *Query) (set classSet) {
	statuses, sources := q.Statuses, q.Sources
	if len(statuses) == 0 {
		statuses = []healthpb.HealthCheck_Status{0, 1, 2, 3}
	}
	if len(sources) == 0 {
		sources = []healthpb.HealthCheck_Source{0, 1, 2}
	}
	for _, source := range sources {
		if source < 0 || source > healthpb.HealthCheck_CONSUL {
			continue
		}
		for _, status := range statuses {
			if status < 0 || status > healthpb.HealthCheck_WARNING {
				continue
			}
			c := class(source)<<2 | class(status)
			set |= 1<<c | 1<<(c|hiddenBit)
			if status == healthpb.HealthCheck_UNKNOWN {
				set |= 1 << (missingClass + class(source))
			}
		}
	}
	if !q.Missing {
		set &= listedClasses
	}
	return set
}

// listClasses returns the classes that q selects of anything but checks.
func listClasses(q *Query) classSet {
	if q.Missing {
		return allClasses
	}
	return listedClasses
}

// class tells whether anything of the node is listed, and whether all of it is
// evictable.
func (n *node) class() (c class) {
	if n.listed == 0 {
		c |= hiddenBit
	}
	if n.kept == 0 {
		c |= deadBit
	}
	return c
}

// class tells as that of a node; the lower bits tell what is known of states.
func (v *version) class() (c class) {
	if v.listed == 0 {
		c |= hiddenBit
	}
	switch {
	case v.counts != [4]int{}:
		c |= someStates
	case v.missing > 0:
		c |= missingStates
	}
	return c
}

func (s *service) class() (c class) {
	if s.kept == 0 {
		c |= deadBit
	}
	return c
}

const (
	deadBit       class = 1
	missingStates class = 1
	someStates    class = 2
)

// Sets of the classes above.
const (
	missingNodes classSet = 1 << (deadBit | hiddenBit)
	retiredNodes classSet = 1 << deadBit
	deadServices classSet = 1 << deadBit

	versionsWithStates   classSet = 1 << someStates
	versionsWithAnyState          = versionsWithStates | 1<<missingStates | 1<<(missingStates|hiddenBit)
)
