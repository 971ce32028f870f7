package document

import (
	"errors"
	"reflect"
	"slices"

	"github.com/BurntSushi/toml"
)

// Document is a parsed TOML text.
type Document struct {
	// File is the path that problems name, or empty.
	File string
	// Tree holds the values. It may contain dates, which no key accepts.
	Tree map[string]any
	// Lines has the lines of the keys.
	Lines Lines
	// NoCommands is the reason why the document may not run commands, or nil.
	NoCommands error
}

// Parse parses the TOML text of a file.
func Parse(file, text string) (*Document, *Problem) {
	tree := make(map[string]any)
	if line, err := checkNesting(text); err != nil {
		return nil, &Problem{File: file, Line: line, Err: err}
	}
	if _, err := toml.Decode(text, &tree); err != nil {
		return nil, syntaxProblem(file, text, err)
	}
	return &Document{File: file, Tree: plainTree(tree).(map[string]any), Lines: linesOf(text)}, nil
}

// Lists returns the top-level lists of tables with the names. All other top-level
// keys are errors.
func (d *Document) Lists(names ...string) (map[string][]map[string]any, []*Problem) {
	lists := make(map[string][]map[string]any)
	fields := make(map[string]reflect.Value)
	values := make([][]map[string]any, len(names))
	for i, name := range names {
		fields[name] = reflect.ValueOf(&values[i]).Elem()
	}
	dec := &treeDecoder{lines: d.Lines}
	dec.fields(d.Tree, "", fields, func() []string { return slices.Sorted(slices.Values(names)) })
	for i, name := range names {
		if values[i] != nil {
			lists[name] = values[i]
		}
	}
	return lists, ProblemsOf(d.File, "", errors.Join(dec.errs...))
}

// Decoder decodes some of the sections of documents.
type Decoder interface {
	// Sections returns the names of its lists of tables, such as "monitor".
	Sections() []string
	// Decode decodes its lists of one document and returns their errors.
	Decode(doc *Document, lists map[string][]map[string]any) []*Problem
	// Finish is called after the last document. It returns errors that concern
	// several documents.
	Finish() []*Problem
}

// Read parses a TOML text and passes its sections to decoder. noCommands is the
// reason why the document may not run commands, or nil.
func Read(decoder Decoder, file, text string, noCommands error) []*Problem {
	doc, problem := Parse(file, text)
	if problem != nil {
		return []*Problem{problem}
	}
	doc.NoCommands = noCommands
	lists, problems := doc.Lists(decoder.Sections()...)
	return LimitProblems(file, append(problems, decoder.Decode(doc, lists)...))
}
