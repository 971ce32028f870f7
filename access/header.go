package access

import (
	"encoding/base64"
	"strings"
)

// maxHeader bounds the Authorization header that is looked at, in bytes. A token
// of a file is never longer than a line of it.
const maxHeader = 4 << 10

// Bearer returns the token of an Authorization header: that of "Bearer TOKEN",
// or the password of "Basic BASE64", whatever the user is called. It is empty if
// the header holds none.
func Bearer(header string) string {
	if len(header) > maxHeader {
		return ""
	}
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok {
		return ""
	}
	rest = strings.Trim(rest, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		if checkToken(rest) != nil {
			return ""
		}
		return rest
	case "basic":
		return password(rest)
	}
	return ""
}

// password returns the password of Basic credentials if a token file could hold
// it.
func password(credentials string) string {
	plain, err := base64.StdEncoding.Strict().DecodeString(credentials)
	if err != nil {
		return ""
	}
	_, token, ok := strings.Cut(string(plain), ":")
	if !ok || checkToken(token) != nil {
		return ""
	}
	return token
}
