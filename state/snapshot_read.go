package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/microhq/monitor-srv/safefile"
)

// snapshotFile is what is known of one file of a Snapshot.
type snapshotFile struct {
	path       string
	whole      bool   // all of its records are sound
	generation uint64 // zero: there is none
	head       head
	read       string         // where it is read, if it was set aside
	kinds      map[string]int // the highest version of each
}

// Restored says what Load has read.
type Restored struct {
	// Down is how long ago the snapshot was begun; zero if there is none.
	Down time.Duration
	// Records were taken by their sections, Rejected were not.
	Records, Rejected int
}

// check reads a file without its data.
func (s *Snapshot) check(path string) snapshotFile {
	c := snapshotChecker{at: make(map[uint64]*snapshotGeneration)}
	found, err := s.scan(path, c.add)
	if errors.Is(err, fs.ErrNotExist) {
		return snapshotFile{path: path}
	}
	newest := c.newest()
	file := snapshotFile{path: path, generation: newest.generation, head: newest.head, kinds: newest.kinds, read: path}
	if err == nil {
		if err = damage(found.damaged || len(c.at) > 1, newest.seen.missing(), newest.seen.end-newest.seen.missing()); err == nil && !newest.ended {
			err = errors.New("its end is missing")
		}
	}
	if file.whole = err == nil; file.whole || newest.newer() {
		return file
	}
	aside, asideErr := MoveAside(s.cfg.Disk, path)
	if asideErr == nil {
		file.read = aside
	}
	s.cfg.Log.Error("a snapshot is damaged", "err", &DamagedError{Path: path, Aside: aside, Err: errors.Join(safefile.WithoutPath(err), asideErr)})
	if newest.generation == 0 {
		file.read = ""
	}
	return file
}

// scan passes the sound records of a file to each.
func (s *Snapshot) scan(path string, each func(placed)) (found traces, err error) {
	f, err := s.cfg.Disk.Open(path)
	if err != nil {
		return found, err
	}
	found, err = scan(f, snapshotLetter, each)
	return found, errors.Join(err, f.Close())
}

// snapshotGeneration is what a file holds of one generation.
type snapshotGeneration struct {
	generation uint64
	head       head
	ended      bool
	seen       indexes
	kinds      map[string]int
}

// newer reports whether a newer program has written the head.
func (g *snapshotGeneration) newer() bool {
	return max(g.kinds[fileKind], g.kinds[endKind]) > fileKindVersion
}

// snapshotChecker looks at the records of a file. More than one generation is there
// only if others have mixed files.
type snapshotChecker struct {
	at map[uint64]*snapshotGeneration
}

func (c *snapshotChecker) add(r placed) {
	g := c.at[r.generation]
	if g == nil {
		g = &snapshotGeneration{generation: r.generation, kinds: make(map[string]int)}
		c.at[r.generation] = g
	}
	g.seen.add(r.index)
	if v, ok := g.kinds[r.Kind]; !ok || r.Version > v {
		g.kinds[r.Kind] = r.Version
	}
	if r.Kind != fileKind && r.Kind != endKind || r.Version > fileKindVersion {
		return
	}
	var h head
	if json.Unmarshal(r.Data, &h) == nil && h.Holds == snapshotHolds {
		g.head, g.ended = h, g.ended || r.Kind == endKind
	}
}

// newest returns the newest generation that has a head. Without its head, nobody knows
// how old it is.
func (c *snapshotChecker) newest() *snapshotGeneration {
	best := &snapshotGeneration{}
	for _, g := range c.at {
		if (g.head.Holds != "" || g.newer()) && g.generation > best.generation {
			best = g
		}
	}
	return best
}

// Load passes each record of the newest whole snapshot to its section, or of a damaged
// one if none is whole. Call it once, before Run.
func (s *Snapshot) Load(sections []Section) Restored {
	var restored Restored
	file := &s.files[s.newest()]
	if err := s.refuse(sections); err != nil {
		s.cfg.Log.Error("the snapshot is not used: what is not registered or pending starts anew, and none is written", "err", err)
		s.report(err)
		return restored
	}
	if file.generation == 0 {
		return restored
	}
	byKind := make(map[string]Section, len(sections))
	for _, section := range sections {
		byKind[section.Kind] = section
	}
	restored.Down = s.cfg.Now().Since(file.head.Moment)
	var seen indexes
	_, err := s.scan(file.read, func(r placed) {
		known := seen.has(r.index)
		section, ok := byKind[r.Kind]
		if known || !ok || r.generation != file.generation {
			return
		}
		seen.add(r.index)
		if err := section.Read(r.Version, r.Data); err != nil {
			restored.Rejected++
			s.limits.Log(s.cfg.Log, slog.LevelError, "a record of the snapshot cannot be used", func() []any {
				return []any{"kind", r.Kind, "err", err}
			})
			return
		}
		restored.Records++
	})
	if err != nil {
		s.cfg.Log.Error("reading the snapshot failed", "file", file.read, "err", err)
	}
	s.cfg.Log.Info("the snapshot is restored", "file", file.read, "down", restored.Down.Round(time.Second), "records", restored.Records, "rejected", restored.Rejected)
	return restored
}

// refuse returns a *NewerError if a newer program has written one of the files.
func (s *Snapshot) refuse(sections []Section) error {
	known := map[string]int{fileKind: fileKindVersion, endKind: fileKindVersion}
	for _, section := range sections {
		known[section.Kind] = section.Version
	}
	for i := range s.files {
		for kind, version := range s.files[i].kinds {
			if version > known[kind] {
				s.newer = fmt.Errorf("reading %q: %w", s.files[i].path,
					&NewerError{fmt.Sprintf("version %d of record %q, want at most %d", version, kind, known[kind])})
			}
		}
	}
	return s.newer
}
