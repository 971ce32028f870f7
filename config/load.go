package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/safefile"
)

const (
	// MaxDocument is the largest size of a document, in bytes. A monitor takes 110 to
	// 400 bytes, so that 10,000 monitors fit.
	MaxDocument = 4 << 20
	maxFiles    = 10_000
	// maxMistaken bounds the files of a directory that are warned of.
	maxMistaken = 10
)

// Load passes the documents at the paths to decoder and returns all problems. For a
// directory it reads the files *.toml, sorted by name. For "-" it reads stdin, unless
// that is nil. An invalid definition affects no other. Of a document it returns at
// most document.MaxProblems, and a few of each once it has as many of all.
//
// When ctx ends, Load returns its error at once, even while it reads a disk that
// hangs, and decoder must not be used any more.
func Load(ctx context.Context, decoder document.Decoder, stdin io.Reader, paths ...string) ([]*document.Problem, error) {
	l := newLoader(decoder)
	if err := await(ctx, func() { l.loadPaths(ctx, stdin, paths) }); err != nil {
		return nil, err
	}
	return l.problems, nil
}

// LoadDir is Load for the files of a directory, whose number it also returns. It fails
// if the directory cannot be read.
func LoadDir(ctx context.Context, decoder document.Decoder, dir string) (files int, problems []*document.Problem, err error) {
	l := newLoader(decoder)
	var found []string
	var listErr error
	if err := await(ctx, func() {
		if found, listErr = l.list(dir); listErr == nil {
			l.loadFiles(ctx, found)
			l.finish()
		}
	}); err != nil {
		return 0, nil, err
	}
	return len(found), l.problems, listErr
}

// await calls f and waits until it returns or ctx ends, whose error it returns.
func await(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// stdinName is the File of problems of standard input.
const stdinName = "standard input"

// isFile reports whether a file of a directory is read.
func isFile(name string) bool {
	return strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".")
}

// isMistaken reports whether a file is not read only because of the case of its name.
func isMistaken(name string) bool { return !isFile(name) && isFile(strings.ToLower(name)) }

// loader reads files, and warns once of each insecure path.
type loader struct {
	decoder document.Decoder
	*ownerChecker
	warned   map[*insecurePath]bool
	problems []*document.Problem
}

func newLoader(decoder document.Decoder) *loader {
	return &loader{decoder: decoder, ownerChecker: newOwnerChecker(), warned: make(map[*insecurePath]bool)}
}

func (l *loader) loadPaths(ctx context.Context, stdin io.Reader, paths []string) {
	for _, path := range paths {
		if path == "-" && stdin != nil {
			text, err := ReadText(stdin)
			l.read(ctx, stdinName, text, err, nil)
			continue
		}
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if files, err = l.list(path); err != nil {
				l.add(&document.Problem{File: path, Err: safefile.WithoutPath(err)})
			}
		}
		l.loadFiles(ctx, files)
	}
	l.finish()
}

// list returns the files of a directory.
func (l *loader) list(dir string) ([]string, error) {
	var mistaken []string
	names, more, err := safefile.Names(dir, maxFiles, func(name string) bool {
		if isMistaken(name) && len(mistaken) < maxMistaken {
			mistaken = append(mistaken, name)
		}
		return isFile(name)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range mistaken {
		l.add(&document.Problem{File: filepath.Join(dir, name), Warning: true, Err: errors.New("the file is not read: write .toml in lower case")})
	}
	if more {
		l.add(&document.Problem{File: dir, Err: fmt.Errorf("contains more than %d files: only these are read", maxFiles)})
	}
	files := make([]string, len(names))
	for i, name := range names {
		files[i] = filepath.Join(dir, name)
	}
	return files, nil
}

func (l *loader) loadFiles(ctx context.Context, files []string) {
	for _, file := range files {
		if ctx.Err() != nil {
			return
		}
		l.load(ctx, file)
	}
}

func (l *loader) finish() {
	l.add(l.decoder.Finish()...)
	document.SortProblems(l.problems)
}

func (l *loader) add(problems ...*document.Problem) { l.problems = append(l.problems, problems...) }

func (l *loader) load(ctx context.Context, file string) {
	text, info, err := readDocument(file)
	if err != nil {
		l.add(&document.Problem{File: file, Err: err})
		return
	}
	insecure := l.checkDirectories(file)
	if p := l.checkFile(file, info); p != nil {
		insecure = append([]*insecurePath{p}, insecure...)
	}
	for _, p := range insecure {
		if !l.warned[p] {
			l.add(p.warning())
		}
		l.warned[p] = true
	}
	var noCommands error
	if len(insecure) > 0 {
		noCommands = insecure[0].refusal()
	}
	l.read(ctx, file, text, nil, noCommands)
}

// fewProblems are those of each document once there are document.MaxProblems of all.
const fewProblems = 3

// read decodes a document unless it could not be read because of err. noCommands is
// the reason why it may not run commands, or nil.
func (l *loader) read(ctx context.Context, file, text string, err, noCommands error) {
	if err != nil {
		l.add(&document.Problem{File: file, Err: err})
		return
	}
	doc, problem := document.Parse(file, text)
	if problem != nil {
		l.add(problem)
		return
	}
	doc.NoCommands = noCommands
	problems := doc.Read(ctx, l.decoder)
	if len(l.problems) >= document.MaxProblems {
		// Without an error of its own the document would be taken for a good one.
		if i := slices.IndexFunc(problems, document.IsError); i > 0 {
			problems = problems[i:]
		}
		problems = problems[:min(fewProblems, len(problems))]
	}
	l.add(problems...)
}

func readDocument(file string) (string, fs.FileInfo, error) {
	text, info, err := safefile.ReadWithInfo(file, MaxDocument)
	if errors.Is(err, safefile.ErrTooLarge) {
		err = errTooLarge
	}
	return string(text), info, safefile.WithoutPath(err)
}

// ReadFile reads a document of at most MaxDocument bytes.
func ReadFile(file string) (string, error) {
	text, _, err := readDocument(file)
	return text, err
}

// ReadText is ReadFile for standard input.
func ReadText(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return "", safefile.WithoutPath(err)
	}
	if len(text) > MaxDocument {
		return "", errTooLarge
	}
	return string(text), nil
}

var errTooLarge = fmt.Errorf("larger than the limit of %d MiB: split it", MaxDocument>>20)
