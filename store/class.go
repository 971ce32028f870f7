package store

import healthpb "github.com/microhq/monitor-srv/proto/health"

// The class of a check has its status in two bits, its source in the next two, and a
// bit that is set if a Query without Missing does not list it. The class of a status is
// built the same way. Stats have no status.
const (
	hiddenBit  class = 16
	retiredBit class = 4 // of a status, where a check has its source

	listedClasses  = allClasses & (1<<hiddenBit - 1)
	missingClasses = 1<<missingClass | 1<<(missingClass+1) | 1<<(missingClass+2)
	// missingClass plus the source is the class of missing entries. No source has the
	// value 3.
	missingClass = hiddenBit | 3<<2
	retiredClass = retiredBit | class(healthpb.Status_STOPPED)
)

// class returns the class that the trees count the entry in.
func (e *entry) class() class {
	switch {
	case e.state == missing:
		return missingClass + class(e.source)
	case e.state == retired:
		return retiredClass
	case e.kind == KindStats && e.state == stopped:
		return hiddenBit
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
	switch {
	case !q.Missing:
		set &= listedClasses
	case len(q.Statuses) > 0:
		set &= listedClasses | missingClasses // those of stopped nodes have no status
	}
	return set
}

// nodeClasses returns the classes of the statuses of nodes that q selects.
func nodeClasses(q *Query) (set classSet) {
	if len(q.NodeStatuses) == 0 {
		return listClasses(q)
	}
	for _, status := range q.NodeStatuses {
		switch {
		case status < 0 || status > healthpb.Status_STOPPED:
			continue
		case status == healthpb.Status_STOPPED:
			set |= 1 << retiredClass
		case status == healthpb.Status_UNKNOWN && q.Missing:
			set |= missingClasses
		}
		set |= 1 << class(status)
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

// class says whether an entry of the node is listed, whether all are evictable, and
// whether it is believed or at least proven.
func (n *node) class() (c class) {
	if n.listed == 0 {
		c |= hiddenBit
	}
	return c | trustClass(n.pinned == 0, n.believed, n.proven)
}

func trustClass(evictable, believed, proven bool) (c class) {
	if evictable {
		c |= evictableBit
	}
	if believed {
		c |= believedBit
	}
	if proven {
		c |= provenBit
	}
	return c
}

// class is like that of a node. The lower bits say which statuses are known.
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

// class is that of the best of its nodes.
func (s *service) class() class { return trustClass(s.pinned == 0, s.believed > 0, s.proven > 0) }

const (
	evictableBit  class = 1
	believedBit   class = 2
	provenBit     class = 4
	missingStates class = 1
	someStates    class = 2
)

// Sets of the classes above.
const (
	// An item with evictableBit has any of the classes from it, in steps of two, to all
	// bits.
	retiredNodes      classSet = 1<<1 | 1<<3 | 1<<5 | 1<<7
	missingNodes               = retiredNodes << hiddenBit
	evictableServices          = retiredNodes

	// unproven and unbelieved are the classes of listed and hidden nodes, and of
	// services, that lack those bits.
	unproven   classSet = (1<<0 | 1<<1) | (1<<0|1<<1)<<hiddenBit
	unbelieved          = unproven | unproven<<provenBit

	versionsWithStates   classSet = 1 << someStates
	versionsWithAnyState          = versionsWithStates | 1<<missingStates | 1<<(missingStates|hiddenBit)
)
