package probe

import (
	"errors"
	"strconv"
	"strings"
)

// redisWords splits a command as redis-cli does: words are separated by blanks; one in
// double quotes may hold blanks, the escapes \n \r \t \b \a \\ \" and \xHH, and one in
// single quotes blanks and \'.
func redisWords(command string) ([]string, error) {
	var words []string
	for {
		command = strings.TrimLeft(command, " \t\r\n")
		if command == "" {
			return words, nil
		}
		word, rest, err := redisWord(command)
		if err != nil {
			return nil, err
		}
		words, command = append(words, word), rest
	}
}

func redisWord(s string) (word, rest string, err error) {
	quote := s[0]
	if quote != '"' && quote != '\'' {
		i := strings.IndexAny(s, " \t\r\n")
		if i < 0 {
			return s, "", nil
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			if rest = s[i+1:]; rest != "" && !strings.ContainsRune(" \t\r\n", rune(rest[0])) {
				return "", "", errors.New("a closing quote must be followed by a blank")
			}
			return b.String(), rest, nil
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case quote == '\'':
			if s[i+1] == '\'' {
				i++
			}
			b.WriteByte(s[i])
		default:
			c, n := redisEscape(s[i+1:])
			b.WriteByte(c)
			i += n
		}
	}
	return "", "", errors.New("a quote is not closed")
}

// redisEscape reads what follows a backslash in double quotes, and how long it is.
func redisEscape(s string) (c byte, n int) {
	if s[0] == 'x' && len(s) >= 3 {
		if v, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return byte(v), 3
		}
	}
	if c, ok := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'a': '\a'}[s[0]]; ok {
		return c, 1
	}
	return s[0], 1
}
