package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/microhq/monitor-srv/document"
)

// Bounds of what is read.
const (
	// MaxDocument is the size of the largest document that is read, in bytes. A
	// monitor takes 110 to 400 of them, so 10,000 fit.
	MaxDocument = 4 << 20
	maxFiles    = 10_000
)

// LoadFiles reads documents from files and, sorted by name, from the files *.toml of
// directories, and from stdin for the path "-" unless it is nil. It hands all that
// is readable to decoder and returns all that is wrong: one bad definition spoils no
// other.
func Load(decoder document.Decoder, stdin io.Reader, paths ...string) []*document.Problem {
	var problems []*document.Problem
	l := loader{decoder: decoder, ownerChecker: newOwnerChecker(), warned: make(map[*insecurePath]bool)}
	for _, path := range paths {
		if path == "-" && stdin != nil {
			text, err := ReadText(stdin)
			if err != nil {
				problems = append(problems, &document.Problem{File: stdinName, Err: err})
				continue
			}
			problems = append(problems, document.Read(decoder, stdinName, text, nil)...)
			continue
		}
		files, err := listFiles(path)
		if err != nil {
			problems = append(problems, &document.Problem{File: path, Err: err})
		}
		for _, file := range files {
			problems = append(problems, l.load(file)...)
		}
	}
	problems = append(problems, decoder.Finish()...)
	document.SortProblems(problems)
	return problems
}

// stdinName is what standard input is called in problems.
const stdinName = "standard input"

func listFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, nil // a missing file is reported when it is read
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the directory: %w", err)
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(path, name))
		}
	}
	if len(files) > maxFiles {
		return files[:maxFiles], fmt.Errorf("holds %d files: only the first %d are read", len(files), maxFiles)
	}
	return files, nil
}

// loader reads files.
type loader struct {
	decoder document.Decoder
	*ownerChecker
	warned map[*insecurePath]bool
}

func (l loader) load(file string) []*document.Problem {
	text, info, err := readDocument(file)
	if err != nil {
		return []*document.Problem{{File: file, Err: err}}
	}
	exposed := l.checkDirectories(file)
	if e := l.checkFile(file, info); e != nil {
		exposed = append([]*insecurePath{e}, exposed...)
	}
	var problems []*document.Problem
	for _, e := range exposed {
		if !l.warned[e] {
			problems = append(problems, e.warning())
		}
		l.warned[e] = true
	}
	var noCommands error
	if len(exposed) > 0 {
		noCommands = exposed[0].refusal()
	}
	return append(problems, document.Read(l.decoder, file, text, noCommands)...)
}

func readDocument(file string) (string, fs.FileInfo, error) {
	// Without O_NONBLOCK a pipe in the directory would be waited on.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, errors.New("not a regular file")
	}
	text, err := ReadText(f)
	return text, info, err
}

// ReadText reads as much as a document may hold.
func ReadText(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return "", withoutPath(err)
	}
	if len(text) > MaxDocument {
		return "", fmt.Errorf("larger than %d MiB, the most that is read: split it", MaxDocument>>20)
	}
	return string(text), nil
}

// cause drops the path that the place of the problem names already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}
