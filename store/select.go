package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// SelectStatuses selects checks by the names of statuses, in any case.
func (q *Query) SelectStatuses(names ...string) (err error) {
	q.Statuses, err = numbers[healthpb.HealthCheck_Status](healthpb.HealthCheck_Status_value, names)
	return err
}

// SelectNodeStatuses selects nodes by the names of statuses, in any case.
func (q *Query) SelectNodeStatuses(names ...string) (err error) {
	q.NodeStatuses, err = numbers[healthpb.Status_Status](healthpb.Status_Status_value, names)
	return err
}

// SelectSources selects checks by the names of sources, in any case.
func (q *Query) SelectSources(names ...string) (err error) {
	q.Sources, err = numbers[healthpb.HealthCheck_Source](healthpb.HealthCheck_Source_value, names)
	return err
}

// numbers returns the numbers of the values of an enum.
func numbers[E ~int32](values map[string]int32, names []string) (all []E, err error) {
	for _, name := range names {
		v, ok := values[strings.ToUpper(name)]
		if !ok {
			return nil, fmt.Errorf("%.40q is not known: give some of %s", name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
		}
		all = append(all, E(v))
	}
	return all, nil
}
