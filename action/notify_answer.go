package action

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"regexp"

	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"
)

// answeredStatus matches the status of an answer at the end of errors of the library.
var answeredStatus = regexp.MustCompile(`: "?([1-5]\d\d)(?: |"|$)`)

// accepted reports whether an error says that the service answered with success, but
// not with what the library expects: no JSON, or 202 in place of 200. A retry would
// notify again.
func accepted(err error) bool {
	var answer jsonclient.Error
	if errors.As(err, &answer) {
		return answer.StatusCode >= 200 && answer.StatusCode < 300
	}
	if errors.As(err, new(*url.Error)) || errors.As(err, new(net.Error)) {
		return false
	}
	// The library reads the answer only after it looked at the status.
	if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		return true
	}
	status := answeredStatus.FindStringSubmatch(err.Error())
	return status != nil && status[1][0] == '2'
}

// classify makes an error permanent if a retry would get the same answer, and
// unreachable if no connection was made.
func classify(err error) error {
	var answer jsonclient.Error
	if errors.As(err, &answer) && answer.StatusCode >= 400 && answer.StatusCode < 500 &&
		answer.StatusCode != 408 && answer.StatusCode != 429 {
		return &Permanent{err}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &Unreachable{err}
	}
	return err
}
