package monitor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bounds of what is read.
const (
	// MaxDocument is the size of the largest document that is read, in bytes. A
	// monitor takes 110 to 400 of them, so 10,000 fit.
	MaxDocument = 4 << 20
	maxFiles    = 10_000
)

// Set is what a number of documents define.
type Set struct {
	Monitors  []*Definition
	Receivers []*ReceiverDefinition
	// broken are definitions with a problem already; they are built only to find
	// all others.
	broken []*Definition
	// wrong are the names of receivers that are not among Receivers because
	// something is wrong with them.
	wrong []string
	// tree is the document, where there is only one.
	tree map[string]any
}

// ReceiverDefinition is an action that monitors name.
type ReceiverDefinition struct {
	Name, Origin string
	file         string
	action       section
	line         int
}

// Problem is one thing wrong with a document.
type Problem struct {
	// File and Line say where; Line is 0 if it is not known.
	File string
	Line int
	// Monitor names the definition concerned, or is empty.
	Monitor string
	Err     error
	// Warning is set if the definition runs all the same.
	Warning bool
}

// Error returns `FILE:LINE: monitor "NAME": what is wrong`.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	switch {
	case p.Line > 0 && p.File == "":
		fmt.Fprintf(&b, "line %d", p.Line)
	case p.Line > 0:
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Monitor != "" {
		fmt.Fprintf(&b, "monitor %q: ", p.Monitor)
	}
	b.WriteString(p.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// Load reads documents from files and, sorted by name, from the files *.toml of
// directories. It returns all that is good and all that is wrong: one bad
// definition spoils no other.
func Load(paths ...string) (Set, []*Problem) { return LoadFrom(nil, paths...) }

// stdinName is what standard input is called in problems.
const stdinName = "standard input"

// LoadFrom does what Load does, and reads stdin for the path "-".
func LoadFrom(stdin io.Reader, paths ...string) (Set, []*Problem) {
	var set Set
	var problems []*Problem
	l := loader{watchman: newWatchman(), told: make(map[*exposure]bool)}
	add := func(one Set, wrong []*Problem) {
		set.Monitors = append(set.Monitors, one.Monitors...)
		set.Receivers = append(set.Receivers, one.Receivers...)
		set.broken = append(set.broken, one.broken...)
		set.wrong = append(set.wrong, one.wrong...)
		problems = append(problems, wrong...)
	}
	for _, path := range paths {
		if path == "-" && stdin != nil {
			text, err := readText(stdin)
			if err != nil {
				problems = append(problems, &Problem{File: stdinName, Err: err})
				continue
			}
			add(Parse(stdinName, text))
			continue
		}
		files, err := filesOf(path)
		if err != nil {
			problems = append(problems, &Problem{File: path, Err: err})
		}
		for _, file := range files {
			add(l.load(file))
		}
	}
	problems = append(problems, set.refuseDuplicates()...)
	SortProblems(problems)
	return set, problems
}

// SortProblems orders problems by file, line and text.
func SortProblems(problems []*Problem) {
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Err.Error(), b.Err.Error()))
	})
}

func filesOf(path string) ([]string, error) {
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
	*watchman
	told map[*exposure]bool
}

func (l loader) load(file string) (Set, []*Problem) {
	text, info, err := readDocument(file)
	if err != nil {
		return Set{}, []*Problem{{File: file, Err: err}}
	}
	set, problems := Parse(file, text)
	exposed := l.directories(file)
	if e := l.file(file, info); e != nil {
		exposed = append([]*exposure{e}, exposed...)
	}
	for _, e := range exposed {
		if !l.told[e] {
			problems = append(problems, e.warning())
		}
		l.told[e] = true
	}
	if len(exposed) > 0 {
		problems = append(problems, set.refuseExec(file, exposed[0].refusal())...)
	}
	return set, problems
}

func readDocument(file string) (string, fs.FileInfo, error) {
	// Without O_NONBLOCK a pipe in the directory would be waited on.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, errors.New("not a regular file")
	}
	text, err := readText(f)
	return text, info, err
}

func readText(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return "", cause(err)
	}
	if len(text) > MaxDocument {
		return "", fmt.Errorf("larger than %d MiB, the most that is read: split it", MaxDocument>>20)
	}
	return string(text), nil
}

// cause drops the path that the place of the problem names already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("cannot %s it: %w", p.Op, p.Err)
	}
	return err
}

// problemsOf splits joined errors into problems with their lines.
func problemsOf(file, monitor string, err error) []*Problem {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []*Problem
		for _, err := range many.Unwrap() {
			problems = append(problems, problemsOf(file, monitor, err)...)
		}
		return problems
	}
	p := &Problem{File: file, Monitor: monitor, Err: err}
	var at *keyError
	if errors.As(err, &at) {
		p.Line = at.line
	}
	return []*Problem{p}
}

// refuseDuplicates drops every monitor and receiver whose name was used before.
func (s *Set) refuseDuplicates() []*Problem {
	var problems []*Problem
	monitors := make(map[string]*Definition)
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		first, ok := monitors[d.Name]
		if !ok {
			monitors[d.Name] = d
			return false
		}
		problems = append(problems, &Problem{
			File: d.file, Line: d.line, Monitor: d.Name,
			Err: fmt.Errorf("the name is used already at %s:%d", first.file, first.line),
		})
		return true
	})
	receivers := make(map[string]*ReceiverDefinition)
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *ReceiverDefinition) bool {
		first, ok := receivers[r.Name]
		if !ok {
			receivers[r.Name] = r
			return false
		}
		problems = append(problems, &Problem{
			File: r.file, Line: r.line,
			Err: fmt.Errorf("receiver %q: the name is used already at %s:%d", r.Name, first.file, first.line),
		})
		return true
	})
	return problems
}

// refuseExec drops every definition that would run a command, and says why.
func (s *Set) refuseExec(file string, why error) []*Problem {
	var problems []*Problem
	s.Monitors = slices.DeleteFunc(s.Monitors, func(d *Definition) bool {
		if !d.RunsCommands() {
			return false
		}
		problems = append(problems, &Problem{File: file, Line: d.line, Monitor: d.Name, Err: why})
		s.broken = append(s.broken, d)
		return true
	})
	s.Receivers = slices.DeleteFunc(s.Receivers, func(r *ReceiverDefinition) bool {
		if r.action.kind != kindExec {
			return false
		}
		problems = append(problems, &Problem{File: file, Line: r.line, Err: fmt.Errorf("receiver %q: %w", r.Name, why)})
		s.wrong = append(s.wrong, r.Name)
		return true
	})
	return problems
}

// kindExec is the kind of probe and action that runs commands.
const kindExec = "exec"
