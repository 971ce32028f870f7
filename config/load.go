package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/safefile"
)

const (
	// MaxDocument is the largest size of a document, in bytes. A monitor takes 110 to
	// 400 bytes, so that 10,000 monitors fit.
	MaxDocument = 4 << 20
	maxFiles    = 10_000
)

// Load passes the documents at the paths to decoder and returns all problems. For a
// directory it reads the files *.toml, sorted by name. For "-" it reads stdin, unless
// that is nil. An invalid definition affects no other.
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

// stdinName is the File of problems of standard input.
const stdinName = "standard input"

func listFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, nil // a missing file is reported when it is read
	}
	names, more, err := safefile.Names(path, maxFiles, isFile)
	if err != nil {
		return nil, safefile.WithoutPath(err)
	}
	files := make([]string, len(names))
	for i, name := range names {
		files[i] = filepath.Join(path, name)
	}
	if more {
		err = fmt.Errorf("contains more than %d files: only these are read", maxFiles)
	}
	return files, err
}

// isFile reports whether a file of a directory is read.
func isFile(name string) bool {
	return strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".")
}

// loader reads files, and warns once of each insecure path.
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
	insecure := l.checkDirectories(file)
	if p := l.checkFile(file, info); p != nil {
		insecure = append([]*insecurePath{p}, insecure...)
	}
	var problems []*document.Problem
	for _, p := range insecure {
		if !l.warned[p] {
			problems = append(problems, p.warning())
		}
		l.warned[p] = true
	}
	var noCommands error
	if len(insecure) > 0 {
		noCommands = insecure[0].refusal()
	}
	return append(problems, document.Read(l.decoder, file, text, noCommands)...)
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
