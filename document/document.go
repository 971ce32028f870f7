package document

import (
	"context"
	"errors"
	"fmt"
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
	// end is the line from which on the text was not read, because it has too many
	// sections, or 0.
	end int
}

// Parse parses the TOML text of a file.
func Parse(file, text string) (*Document, *Problem) {
	tree := make(map[string]any)
	length, end, err := outline(text)
	if err != nil {
		return nil, &Problem{File: file, Line: end, Err: err}
	}
	text = text[:length]
	if _, err := toml.Decode(text, &tree); err != nil {
		return nil, syntaxProblem(file, text, err)
	}
	return &Document{File: file, Tree: plainTree(tree).(map[string]any), Lines: linesOf(text), end: end}, nil
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
	// Decode decodes its lists of one document and returns their errors. It stops when
	// ctx ends, and after MaxProblems errors.
	Decode(ctx context.Context, doc *Document, lists map[string][]map[string]any) []*Problem
	// Finish is called after the last document. It returns errors that concern
	// several documents.
	Finish() []*Problem
}

// Read passes the sections of the document to decoder and returns the problems, at
// most MaxProblems and one that says that there are more.
func (d *Document) Read(ctx context.Context, decoder Decoder) []*Problem {
	lists, problems := d.Lists(decoder.Sections()...)
	if CountErrors(problems) < MaxProblems {
		problems = append(problems, decoder.Decode(ctx, d, lists)...)
	}
	problems = LimitProblems(d.File, problems)
	if d.end > 0 {
		problems = append(problems, &Problem{
			File: d.File, Line: d.end,
			Err: fmt.Errorf("more than %d sections: the file is not read from here on; split it", maxSections),
		})
	}
	return problems
}
