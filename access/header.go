package access

import (
	"encoding/base64"
	"strings"
)

// maxHeader bounds the size of an Authorization header, in bytes. It has room for
// the longest token in both schemes.
const maxHeader = 4 << 10

// Bearer returns the token of an Authorization header: that of "Bearer TOKEN", or the
// password of "Basic BASE64" with any user name. It is empty if there is none.
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

// password returns the password of Basic credentials if it is a valid token.
func password(credentials string) string {
	decoded, err := base64.StdEncoding.Strict().DecodeString(credentials)
	if err != nil {
		return ""
	}
	_, token, ok := strings.Cut(string(decoded), ":")
	if !ok || checkToken(token) != nil {
		return ""
	}
	return token
}
