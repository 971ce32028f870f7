package state

import (
	"cmp"
	"context"
	"fmt"
)

// Write writes one snapshot. The older of the two files is replaced. When ctx ends, it
// gives up.
func (s *Snapshot) Write(ctx context.Context, j *Journal, sections []Section) error {
	mark := j.Mark()
	newest := s.newest()
	to := &s.files[1-newest]
	next := snapshotFile{path: to.path, whole: true, generation: max(s.files[newest].generation, to.generation) + 1}
	next.head = head{Holds: snapshotHolds, Journal: mark, Moment: s.cfg.Now()}
	w, renamed, err := create(s.cfg.Disk, s.temporary(), to.path, place{letter: snapshotLetter, generation: next.generation}, func(w *writer) error {
		return writeSections(ctx, w, next.head, sections)
	})
	if renamed {
		*to = snapshotFile{path: to.path, generation: next.generation} // not known to be durable
	}
	if err != nil {
		return fmt.Errorf("writing a snapshot: %w", err)
	}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("writing a snapshot: %w", err)
	}
	*to = next
	j.Covered(mark)
	return nil
}

func writeSections(ctx context.Context, w *writer, h head, sections []Section) error {
	if err := w.addHead(fileKind, h); err != nil {
		return err
	}
	for _, section := range sections {
		var failed error
		err := section.Write(func(data []byte) error {
			if failed == nil {
				failed = ctx.Err()
			}
			if failed == nil && len(data) > maxRecord {
				failed = fmt.Errorf("a record of kind %q has %d bytes, want at most %d", section.Kind, len(data), maxRecord)
			}
			if failed == nil {
				failed = w.add(section.Kind, section.Version, data)
			}
			return failed
		})
		if err = cmp.Or(failed, err); err != nil {
			return err
		}
	}
	return w.addHead(endKind, h)
}
