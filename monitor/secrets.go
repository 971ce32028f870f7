package monitor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/safefile"
)

// Kinds read the files that keys such as password_file and tls.ca_file name when a
// probe or an action is built. When such a file changes, only these are rebuilt: the
// monitor keeps its state, filter and ticks, the receiver its pending notifications.

// maxFingerprint bounds the files that are hashed, in bytes. A bundle of all public
// certificate authorities is smaller.
const maxFingerprint = 1 << 20

// fingerprints are the hashes of files, by path. A file that several monitors name
// is read once per change. The hashes never leave the process.
type fingerprints map[string][sha256.Size]byte

// section returns the hashes of the files that a section names. It is empty if the
// section names none or f is nil.
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

// file returns the hash of a file, or of the error if the file cannot be read.
func (f fingerprints) file(path string) [sha256.Size]byte {
	sum, known := f[path]
	if known {
		return sum
	}
	h := sha256.New()
	text, err := safefile.Read(path, maxFingerprint)
	_, _ = h.Write(text)
	fmt.Fprint(h, err)
	h.Sum(sum[:0])
	f[path] = sum
	return sum
}

// buildOne is build outside of Apply. It adds the files that are read to
// watchedFiles. The hash of a file that is watched already stays, because others
// may not use its new content yet. g.configMu is held.
func (g *Group) buildOne(d *Definition) (*pipeline, error) {
	g.readFiles = make(fingerprints)
	defer func() { g.readFiles, g.warned = nil, nil }()
	p, err := g.build(d)
	if err == nil && len(g.readFiles) > 0 {
		files := maps.Clone(g.readFiles) // SecretsChanged may read the old map
		maps.Copy(files, g.watchedFiles)
		g.watchedFiles = files
	}
	return p, err
}

// RefreshSecrets rebuilds the probes and actions whose files of secrets and
// certificates have changed, as Apply does. It returns the errors of kinds.
func (g *Group) RefreshSecrets() []*document.Problem {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	g.readFiles = make(fingerprints)
	found := g.refreshFiles()
	g.readFiles, g.watchedFiles, g.warned = nil, g.readFiles, nil
	return found
}

// SecretsChanged reports whether a file of secrets or certificates of a monitor or
// receiver has changed since it was read, or since the last call. Apply and
// RefreshSecrets apply the change. If ctx ends it reports none.
func (g *Group) SecretsChanged(ctx context.Context) bool {
	g.configMu.Lock()
	before := g.watchedFiles
	g.configMu.Unlock()
	now := make(fingerprints, len(before))
	for path := range before {
		if ctx.Err() != nil {
			return false
		}
		now.file(path)
	}
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if !maps.Equal(before, g.watchedFiles) {
		return false // read meanwhile by a change
	}
	g.watchedFiles = now
	return !maps.Equal(before, now)
}

// refreshFiles rebuilds the probes and actions whose files have changed. If that
// fails, the old ones stay in use. g.configMu is held.
func (g *Group) refreshFiles() []*document.Problem {
	found := g.refreshReceivers()
	for _, r := range g.sorted() {
		now := g.readFiles.section(r.def.probe)
		if now == "" || !r.usesOtherSecrets(now) {
			continue
		}
		if err := g.rebuildProbe(r, now); err != nil {
			found = append(found, document.ProblemsOf(r.place().file, r.def.Name, stillUsed(err))...)
			continue
		}
		g.log.Info("reloaded the secrets of a monitor", "monitor", r.def.Name)
	}
	return found
}

func (g *Group) rebuildProbe(r *runner, fingerprint string) error {
	d, err := r.definition()
	if err != nil {
		return err
	}
	p, err := g.newProbe(d)
	if err != nil {
		return err
	}
	r.replaceProbe(p, fingerprint)
	return nil
}

func stillUsed(err error) error { return fmt.Errorf("%w; the previous one stays in use", err) }

// usesOtherSecrets reports whether the monitor runs with another fingerprint.
func (r *runner) usesOtherSecrets(fingerprint string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pipeline != nil && r.pipeline.fingerprint != fingerprint
}

// replaceProbe replaces the probe. The result of a running one is dropped.
func (r *runner) replaceProbe(fresh probe.Probe, fingerprint string) {
	r.mu.Lock()
	old, inUse := r.pipeline, r.inUse
	p := &pipeline{probe: fresh}
	if old != nil {
		*p = *old
		p.probe, p.fingerprint = fresh, fingerprint
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

// refreshReceivers rebuilds the actions whose files have changed. g.configMu is
// held.
func (g *Group) refreshReceivers() []*document.Problem {
	var found []*document.Problem
	refresh := func(t Receiver, file, owner string) {
		source := g.receivers.sources[t]
		now := g.readFiles.section(source.section)
		if now == "" || now == source.fingerprint {
			return
		}
		a, err := g.newAction(source.section)
		if err != nil {
			found = append(found, document.ProblemsOf(file, "", fmt.Errorf("%s: %w", owner, stillUsed(err)))...)
			return
		}
		g.receivers.delivery.Add(t.Name(), a)
		g.receivers.sources[t] = actionSource{source.section, now}
		g.log.Info("reloaded the secrets of a receiver", "receiver", t.Name())
	}
	for _, name := range slices.Sorted(maps.Keys(g.receivers.files)) {
		f := g.receivers.files[name]
		refresh(f.Receiver, f.def.file, fmt.Sprintf("receiver %q", name))
	}
	for _, name := range slices.Sorted(maps.Keys(g.receivers.inline)) {
		t := g.receivers.inline[name]
		file, owner := g.firstUser(t)
		refresh(t, file, owner)
	}
	return found
}

// firstUser returns the first monitor that uses a receiver, and its file.
func (g *Group) firstUser(t Receiver) (file, monitor string) {
	for _, r := range g.sorted() {
		if slices.Contains(r.currentReceivers(), t) {
			return r.place().file, fmt.Sprintf("monitor %q", r.def.Name)
		}
	}
	return "", fmt.Sprintf("receiver %q", t.Name())
}
