// Package access decides who may do what: it defines the roles, the tokens that carry
// them and the policy for calls over HTTP and RPC.
//
// A server takes the token from the request (Bearer), asks its Door who the caller is or
// whether its role is sufficient (Allow) and, for a registration, the Policy whether the
// role may register such a monitor (Permit). The errors are a closed set, which each
// server maps to its codes.
package access
