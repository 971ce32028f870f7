package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Incident is one that is open.
type Incident struct {
	Monitor string `json:"monitor"`
	// ID is carried by every notice of it.
	ID       string    `json:"id"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Seq      int64     `json:"seq"`
}

// Incidents returns the open incidents, by id of the monitor.
func (g *Group) Incidents() []Incident {
	var open []Incident
	for _, r := range g.sorted() {
		r.mu.Lock()
		if r.judge.state == Failing {
			open = append(open, Incident{r.def.Name, r.incident, r.failedAt, r.failures, r.seq})
		}
		r.mu.Unlock()
	}
	return open
}

// Resume opens incidents again that Incidents returned before a restart, so that
// their monitors tell no second failure, and their recovery under the same id.
// It is to be called before Run. Those of monitors that are no more are dropped.
func (g *Group) Resume(open []Incident) {
	for _, i := range open {
		r := g.named(i.Monitor)
		if r == nil {
			continue
		}
		r.mu.Lock()
		r.judge.state, r.judge.told = Failing, time.Now()
		r.incident, r.failedAt, r.failures, r.seq = i.ID, i.Since, i.Failures, i.Seq
		r.since = i.Since
		r.mu.Unlock()
	}
}

const keptName = "kept.json"

// Keep writes v as JSON into the state directory, for the next start.
func (j *Journal) Keep(v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		raw, err = json.Marshal(journalFile{CRC32C: checksum(raw), State: raw})
	}
	if err == nil {
		err = replaceFile(j.dir, filepath.Join(j.dir, keptName), raw)
	}
	if err != nil {
		return fmt.Errorf("keeping what is owed: %w", err)
	}
	return nil
}

// Kept reads into v what Keep wrote, and takes it away: what is told twice is
// worse than what a second, sudden end loses. If nothing was kept v stays as it
// is.
func (j *Journal) Kept(v any) error {
	path := filepath.Join(j.dir, keptName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var file journalFile
	if err == nil {
		err = errors.Join(json.Unmarshal(text, &file), os.Remove(path))
	}
	if err == nil && checksum(file.State) != file.CRC32C {
		err = errors.New("the checksum does not fit")
	}
	if err == nil {
		err = json.Unmarshal(file.State, v)
	}
	if err != nil {
		return fmt.Errorf("reading what was kept: %w", err)
	}
	return nil
}
