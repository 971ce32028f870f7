// Package access says who may do what: roles, the tokens that carry them, and
// the policy by which both doors of the service, HTTP and RPC, judge a call.
//
// A door takes the token out of what the client sent (Bearer), and asks the
// Policy whether the token's role is enough (Allow) and, if a monitor is to be
// registered, whether that role may have such a one (Permit). The errors are a
// closed set, which each door maps to its own codes.
package access
