package access

import (
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/microhq/monitor-srv/safefile"
)

// maxFile bounds the size of a file, in bytes.
const maxFile = 1 << 20

// readTrusted returns the text of a file; see safefile.ReadTrusted. noun says what
// the file is.
func readTrusted(noun, file string, forbidden fs.FileMode) (string, error) {
	text, err := safefile.ReadTrusted(file, maxFile, forbidden)
	if err != nil {
		return "", fmt.Errorf("reading %s %q: %w", noun, file, safefile.WithoutPath(err))
	}
	return string(text), nil
}

// lines yields the numbers and the trimmed lines of a text, without empty lines and
// comments, and without the byte order mark that editors of Windows put first.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(number, line) {
				return
			}
		}
	}
}
