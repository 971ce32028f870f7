package document

import (
	"errors"
	"reflect"

	"github.com/BurntSushi/toml"
)

// Document is a TOML text that was read.
type Document struct {
	// File is its path, as problems name it; empty if it is no file.
	File string
	// Tree holds its values: map[string]any, []any, string, bool, int64, float64,
	// and the dates of TOML, which nobody takes.
	Tree map[string]any
	// Line finds the lines of its keys.
	Lines Lines
	// NoCommands is why nothing of it may run a command, or nil.
	NoCommands error
}

// parseDocument reads the TOML text of a file.
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

// Lists returns the lists of tables at the top of the document, of which only those
// with the names may be there.
func (d *Document) Lists(names ...string) (map[string][]map[string]any, []*Problem) {
	lists := make(map[string][]map[string]any)
	fields := make(map[string]reflect.Value)
	values := make([][]map[string]any, len(names))
	for i, name := range names {
		fields[name] = reflect.ValueOf(&values[i]).Elem()
	}
	dec := &treeDecoder{lines: d.Lines}
	dec.fields(d.Tree, "", fields)
	for i, name := range names {
		if values[i] != nil {
			lists[name] = values[i]
		}
	}
	return lists, ProblemsOf(d.File, "", errors.Join(dec.errs...))
}

// plainTree turns what the TOML parser returns into the types of Tree.
func plainTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plainTree(e)
		}
		return m
	case []map[string]any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = plainTree(e)
		}
		return l
	}
	return v
}

// Decoder takes the sections of documents that concern one part of the program.
type Decoder interface {
	// Sections returns the names of its lists of tables, such as "monitor".
	Sections() []string
	// Decode takes those of one document and returns what is wrong with them.
	Decode(doc *Document, lists map[string][]map[string]any) []*Problem
	// Finish is called once after the last document and returns what is wrong with
	// all of them together.
	Finish() []*Problem
}

// Read hands the sections of a TOML text to decoder. noCommands is why nothing of it
// may run a command, or nil.
func Read(decoder Decoder, file, text string, noCommands error) []*Problem {
	doc, problem := Parse(file, text)
	if problem != nil {
		return []*Problem{problem}
	}
	doc.NoCommands = noCommands
	lists, problems := doc.Lists(decoder.Sections()...)
	return LimitProblems(file, append(problems, decoder.Decode(doc, lists)...))
}
