package testkit

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TempFile writes the text to a new file with exactly this mode and returns its path.
func TempFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := NewFile(t, "file", text)
	if err := os.Chmod(path, mode); err != nil { // the umask does not apply
		t.Fatal(err)
	}
	return path
}

// NewFile writes the text to a new file of this name, in a directory of its own, and
// returns its path.
func NewFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	WriteFile(t, path, text)
	return path
}

// WriteFile writes a file that only its owner may read.
func WriteFile[T string | []byte](t testing.TB, path string, content T) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ReadFile returns the content of a file.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Exists reports whether there is a file.
func Exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// Setenv sets variables of the environment, each NAME=VALUE, as t.Setenv does.
func Setenv(t testing.TB, variables ...string) {
	t.Helper()
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

// Remove removes a file.
func Remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Damaged returns what is left of a file after damages, each with what happened: cut
// at every byte, every bit flipped, and 2,000 times several bytes changed.
func Damaged(whole []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for n := range whole {
			if !yield(fmt.Sprint("cut at ", n), whole[:n]) {
				return
			}
		}
		for i := range len(whole) * 8 {
			flipped := slices.Clone(whole)
			flipped[i/8] ^= 1 << (i % 8)
			if !yield(fmt.Sprint(FlippedBit, i), flipped) {
				return
			}
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			junk := slices.Clone(whole)
			for range 1 + random.IntN(20) {
				junk[random.IntN(len(junk))] = byte(random.Uint32())
			}
			if !yield("several bytes changed", junk) {
				return
			}
		}
	}
}

// Sampled returns every nth element, or all of them in nightly runs.
func Sampled(all iter.Seq2[string, []byte], n int) iter.Seq2[string, []byte] {
	if Nightly() {
		return all
	}
	return func(yield func(string, []byte) bool) {
		i := 0
		for what, text := range all {
			if i++; i%n == 0 && !yield(what, text) {
				return
			}
		}
	}
}

// Corrupt returns a file with a few of these damages at random places: a flipped bit, a
// cut end, a part that is there twice, a part that is zero, a part that is missing.
func Corrupt(random *rand.Rand, whole []byte) (what string, text []byte) {
	text = slices.Clone(whole)
	for range 1 + random.IntN(3) {
		if len(text) == 0 {
			break
		}
		from := random.IntN(len(text))
		part := text[from:min(len(text), from+1+random.IntN(1+len(text)/2))]
		switch random.IntN(5) {
		case 0:
			text[from] ^= 1 << random.IntN(8)
			what += fmt.Sprintf("flipped at %d ", from)
		case 1:
			text = text[:from]
			what += fmt.Sprintf("cut at %d ", from)
		case 2:
			to := random.IntN(len(text) + 1)
			text = slices.Insert(text, to, slices.Clone(part)...)
			what += fmt.Sprintf("%d bytes of %d copied to %d ", len(part), from, to)
		case 3:
			clear(part)
			what += fmt.Sprintf("%d bytes at %d zero ", len(part), from)
		default:
			what += fmt.Sprintf("%d bytes at %d missing ", len(part), from)
			text = slices.Delete(text, from, from+len(part))
		}
	}
	return what, text
}

// FlippedBit begins the names of damages that flipped one bit.
const FlippedBit = "flipped bit "

// ReplaceFile replaces a file as a deployment does: it writes a file beside it and
// renames that.
func ReplaceFile(t testing.TB, path, text string) {
	t.Helper()
	WriteFile(t, path+".tmp", text)
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}
