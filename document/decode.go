package document

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// unmarshaler is implemented by types that decode themselves from a value of a tree.
type unmarshaler interface{ UnmarshalTOML(v any) error }

// treeDecoder collects the errors of one table.
type treeDecoder struct {
	root  string
	lines Lines
	// parent is a struct with the keys of the enclosing table, or nil.
	parent any
	errs   []error
}

// Decode decodes the table at path into the struct that target points to, by the
// tag "toml" of its fields. Unknown keys, wrong types and numbers that are not finite
// are errors. It returns all errors, joined.
func Decode(tree map[string]any, path string, lines Lines, target any) error {
	d := &treeDecoder{root: path, lines: lines}
	return d.decode(tree, target)
}

func (d *treeDecoder) decode(tree map[string]any, target any) error {
	d.table(tree, d.root, reflect.ValueOf(target).Elem())
	return errors.Join(d.errs...)
}

func (d *treeDecoder) fail(path string, format string, args ...any) {
	d.failed(path, fmt.Errorf(format, args...))
}

// full reports whether there are so many errors that no more are reported.
func (d *treeDecoder) full() bool { return len(d.errs) >= MaxProblems }

func (d *treeDecoder) failed(path string, err error) {
	d.errs = append(d.errs, &KeyError{path, d.root, d.lines(path), err})
}

func (d *treeDecoder) table(tree map[string]any, path string, v reflect.Value) {
	d.fields(tree, path, fieldsOf(v), func() []string { return keysOf(v.Type()) })
}

// fields decodes the keys of a table into the fields of the same key. known returns
// the keys of fields, sorted.
func (d *treeDecoder) fields(tree map[string]any, path string, fields map[string]reflect.Value, known func() []string) {
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if d.full() {
			return
		}
		field, ok := fields[key]
		if !ok {
			d.failed(Join(path, key), unknownKey(key, d.root, d.parent, known))
			continue
		}
		d.value(tree[key], Join(path, key), field)
	}
}

// fieldsOf returns the fields of a struct and its embedded structs, by key.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if key, _, _ := strings.Cut(f.Tag.Get("toml"), ","); key != "" && key != "-" {
			fields[key] = v.Field(i)
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			maps.Copy(fields, fieldsOf(v.Field(i)))
		}
	}
	return fields
}

func (d *treeDecoder) value(tree any, path string, v reflect.Value) {
	if tree == nil {
		d.fail(path, "want a value, have nothing")
		return
	}
	if v.CanAddr() {
		switch u := v.Addr().Interface().(type) {
		case unmarshaler:
			if want := expectedType(u, tree); want != "" {
				d.fail(path, "want %s, have %s", want, kindOf(tree))
			} else if err := u.UnmarshalTOML(tree); err != nil {
				d.fail(path, "%w", err)
			}
			return
		case encoding.TextUnmarshaler:
			d.text(tree, path, u)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(tree, path, p.Elem())
		v.Set(p)
	case reflect.Struct:
		if t, ok := tree.(map[string]any); ok {
			d.table(t, path, v)
		} else {
			d.noTable(tree, path)
		}
	case reflect.Map:
		d.mapping(tree, path, v)
	case reflect.Slice:
		d.list(tree, path, v)
	case reflect.Interface:
		v.Set(reflect.ValueOf(tree))
	default:
		d.scalar(tree, path, v)
	}
}

// expectedType describes the types that a target accepts, if tree has another one.
// Targets say so by a method AcceptsTOML.
func expectedType(u unmarshaler, tree any) string {
	if a, ok := u.(interface {
		AcceptsTOML(v any) (expected string, ok bool)
	}); ok {
		if expected, ok := a.AcceptsTOML(tree); !ok {
			return expected
		}
	}
	return ""
}

func (d *treeDecoder) noTable(tree any, path string) {
	if list, ok := tree.([]any); ok && len(list) > 0 {
		if _, tables := list[0].(map[string]any); tables {
			d.fail(path, "want a table, have a list: write one [%s] in place of [[%[1]s]]", headerOf(path))
			return
		}
	}
	d.fail(path, "want a table, have %s", kindOf(tree))
}

func (d *treeDecoder) text(tree any, path string, u encoding.TextUnmarshaler) {
	s, ok := tree.(string)
	if !ok {
		d.fail(path, "want a string, have %s", kindOf(tree))
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.fail(path, "%w", err)
	}
}

func (d *treeDecoder) mapping(tree any, path string, v reflect.Value) {
	t, ok := tree.(map[string]any)
	if !ok {
		d.noTable(tree, path)
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(t))
	for _, key := range slices.Sorted(maps.Keys(t)) {
		if d.full() {
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(t[key], Join(path, key), e)
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

func (d *treeDecoder) list(tree any, path string, v reflect.Value) {
	t, ok := tree.([]any)
	if _, table := tree.(map[string]any); table {
		d.fail(path, "want a list, have a table: write [[%s]] in place of [%[1]s]", headerOf(path))
		return
	}
	if !ok {
		d.fail(path, "want a list, have %s", kindOf(tree))
		return
	}
	s := reflect.MakeSlice(v.Type(), len(t), len(t))
	for i, e := range t {
		if d.full() {
			return
		}
		d.value(e, Join(path, fmt.Sprint(i)), s.Index(i))
	}
	v.Set(s)
}

func (d *treeDecoder) scalar(tree any, path string, v reflect.Value) {
	switch t := tree.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(t)
			return
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(t)
			return
		}
	case int64:
		if v.CanFloat() {
			v.SetFloat(float64(t))
			return
		}
		if v.CanInt() {
			if v.OverflowInt(t) {
				d.fail(path, "%d is out of range", t)
				return
			}
			v.SetInt(t)
			return
		}
	case float64:
		if v.CanFloat() {
			if math.IsNaN(t) || math.IsInf(t, 0) {
				d.fail(path, "%v is not a finite number", t)
				return
			}
			v.SetFloat(t)
			return
		}
	}
	d.fail(path, "want %s, have %s%s", kindOf(v.Interface()), kindOf(tree), quoteHint(v, tree))
}

// kindOf names the type of a value in the terms of TOML.
func kindOf(v any) string {
	if _, ok := v.(time.Time); ok {
		return "a date"
	}
	switch reflect.ValueOf(v).Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Map:
		return "a table"
	case reflect.Slice:
		return "a list"
	case reflect.Invalid:
		return "nothing"
	}
	return fmt.Sprintf("a %T", v)
}
