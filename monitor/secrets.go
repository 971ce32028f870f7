package monitor

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/probe"
)

// Kinds read the files that keys such as password_file and tls.ca_file name when
// they make a probe or an action. When such a file has changed, only these are
// made anew: their monitor keeps its state, its filter and its pace, their
// receiver what it has to tell.

// maxFingerprint bounds what is looked at of a file, in bytes: more than a bundle
// of all authorities has.
const maxFingerprint = 1 << 20

// fingerprints are hashes of the files that one reading of them found, so that
// each is read once however many monitors name it. The hashes stay in memory and
// are shown to nobody.
type fingerprints map[string][sha256.Size]byte

// of returns what stands for the contents of the files that a section names, or
// "" if it names none. From nil it is "" too: what is unknown differs from all.
func (f fingerprints) section(s document.Section) string {
	if f == nil {
		return ""
	}
	var all strings.Builder
	for _, path := range s.Files() {
		sum := f.file(path)
		_, _ = all.Write(sum[:])
	}
	return all.String()
}

// file returns the hash of a file. One that cannot be read has that of the error.
func (f fingerprints) file(path string) [sha256.Size]byte {
	sum, known := f[path]
	if known {
		return sum
	}
	h := sha256.New()
	// Without O_NONBLOCK a pipe would be waited on.
	if file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		fmt.Fprint(h, err)
	} else {
		_, err = io.Copy(h, io.LimitReader(file, maxFingerprint))
		_ = file.Close()
		fmt.Fprint(h, err)
	}
	h.Sum(sum[:0])
	f[path] = sum
	return sum
}

// buildAlone is build outside of Apply: it notes the files that are read. One that
// is known stays as it was read first: somebody may have to take what is new in it.
// g.changes is held.
func (g *Group) buildOne(d *Definition) (*pipeline, error) {
	g.readFiles = make(fingerprints)
	defer func() { g.readFiles = nil }()
	p, err := g.build(d)
	if err == nil && len(g.readFiles) > 0 {
		files := maps.Clone(g.readFiles) // SecretsChanged may look at the old ones
		maps.Copy(files, g.watchedFiles)
		g.watchedFiles = files
	}
	return p, err
}

// RefreshSecrets takes what is new in the files of secrets and certificates, as
// Apply does, and changes nothing else. It returns what kinds found wrong.
func (g *Group) RefreshSecrets() []*document.Problem {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	g.readFiles = make(fingerprints)
	found := g.refreshFiles()
	g.readFiles, g.watchedFiles = nil, g.readFiles
	return found
}

// SecretsChanged tells whether one of the files of secrets and certificates that
// monitors and receivers were made of has changed since, or since it was asked
// last. Apply and RefreshSecrets take what is new.
func (g *Group) SecretsChanged() bool {
	g.configMu.Lock()
	before := g.watchedFiles
	g.configMu.Unlock()
	now := make(fingerprints, len(before))
	for path := range before {
		now.file(path)
	}
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if !maps.Equal(before, g.watchedFiles) {
		return false // they were just read
	}
	g.watchedFiles = now
	return !maps.Equal(before, now)
}

// refresh makes the probes and actions anew whose files have changed since they
// were made. Where that fails, the old ones go on. g.changes is held.
func (g *Group) refreshFiles() []*document.Problem {
	found := g.refreshReceivers()
	for _, r := range g.sorted() {
		now := g.readFiles.section(r.def.probe)
		if now == "" || !r.usesOtherSecrets(now) {
			continue
		}
		whole, err := r.def.expand()
		if err != nil {
			found = append(found, document.ProblemsOf(r.def.file, r.def.Name, stillUsed(err))...)
			continue
		}
		fresh, err := g.newProbe(whole)
		if err != nil {
			found = append(found, document.ProblemsOf(r.def.file, r.def.Name, stillUsed(err))...)
			continue
		}
		r.replaceProbe(fresh, now)
		g.log.Info("the secrets of a monitor have changed", "monitor", r.def.Name)
	}
	return found
}

func stillUsed(err error) error { return fmt.Errorf("%w; it goes on with the one it had", err) }

// lacks tells whether the monitor runs with other secrets.
func (r *runner) usesOtherSecrets(secrets string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pipeline != nil && r.pipeline.fingerprint != secrets
}

// replace goes on with another probe. What comes of one that runs is dropped.
func (r *runner) replaceProbe(fresh probe.Probe, secrets string) {
	r.mu.Lock()
	old, inUse := r.pipeline, r.inUse
	p := &pipeline{probe: fresh}
	if old != nil {
		*p = *old
		p.probe, p.fingerprint = fresh, secrets
		r.pipeline = p
	}
	r.mu.Unlock()
	switch {
	case old == nil:
		r.group.closeInBackground(r.def.Name, p) // stopped meanwhile
	case old != inUse:
		r.group.closeInBackground(r.def.Name, old)
	}
}

// refreshReceivers gives receivers a new action where the files of the one they
// have changed. g.changes is held.
func (g *Group) refreshReceivers() []*document.Problem {
	var found []*document.Problem
	refresh := func(t Receiver, file, whose string) {
		m := g.receivers.sources[t]
		now := g.readFiles.section(m.section)
		if now == "" || now == m.fingerprint {
			return
		}
		a, err := g.newAction(m.section)
		if err != nil {
			found = append(found, document.ProblemsOf(file, "", fmt.Errorf("%s: %w", whose, stillUsed(err)))...)
			return
		}
		g.receivers.delivery.Add(t.Name(), a)
		g.receivers.sources[t] = actionSource{m.section, now}
		g.log.Info("the secrets of a receiver have changed", "receiver", t.Name())
	}
	for _, name := range slices.Sorted(maps.Keys(g.receivers.files)) {
		n := g.receivers.files[name]
		refresh(n.Receiver, n.def.file, fmt.Sprintf("receiver %q", name))
	}
	for _, name := range slices.Sorted(maps.Keys(g.receivers.inline)) {
		t := g.receivers.inline[name]
		file, whose := g.firstUser(t)
		refresh(t, file, whose)
	}
	return found
}

// userOf returns the first monitor that tells a receiver, and its file.
func (g *Group) firstUser(t Receiver) (file, monitor string) {
	for _, r := range g.sorted() {
		if slices.Contains(r.currentReceivers(), t) {
			return r.def.file, fmt.Sprintf("monitor %q", r.def.Name)
		}
	}
	return "", fmt.Sprintf("receiver %q", t.Name())
}
