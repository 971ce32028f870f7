package setting

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/safefile"
)

// TLS holds the keys of a table "tls". The zero value verifies certificates with the
// certificate authorities of the system.
type TLS struct {
	// CAFile is a PEM file of the certificate authorities to trust in place of those
	// of the system.
	CAFile string `toml:"ca_file"`
	// CertFile and KeyFile are PEM files of the client certificate; both or none.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// ServerName is the name to verify in the certificate, in place of the host name.
	ServerName string `toml:"server_name"`
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool `toml:"insecure_skip_verify"`
}

// Config reads the files and returns the configuration of a client.
func (t TLS) Config() (*tls.Config, error) {
	name, err := certificateName(t.ServerName)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         name,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
	if t.CAFile != "" {
		c.RootCAs = x509.NewCertPool()
		if err := (safefile.PEM{NamedBy: "ca_file", Path: t.CAFile}).AddCAs(c.RootCAs); err != nil {
			return nil, markAbsent(err)
		}
	}
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return nil, errors.New("give both cert_file and key_file, or none: key_file is missing")
	case t.CertFile == "" && t.KeyFile != "":
		return nil, errors.New("give both cert_file and key_file, or none: cert_file is missing")
	case t.CertFile != "":
		pair, err := safefile.KeyPair(safefile.PEM{NamedBy: "cert_file", Path: t.CertFile}, safefile.PEM{NamedBy: "key_file", Path: t.KeyFile})
		if err != nil {
			return nil, markAbsent(err)
		}
		c.GetClientCertificate = t.clientCertificate(pair)
	}
	return c, nil
}

// clientCertificate returns the certificate for a server that asks for one. An
// expired one fails with its file, where the server would only say that some
// certificate is bad. It is no error before, because it may be replaced in time.
func (t TLS) clientCertificate(pair tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if request.SupportsCertificate(&pair) != nil {
			return &tls.Certificate{}, nil // none, as package tls does
		}
		switch now := time.Now(); {
		case now.After(pair.Leaf.NotAfter):
			return nil, fmt.Errorf("the client certificate in cert_file %q expired at %s: renew it", t.CertFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(pair.Leaf.NotBefore):
			return nil, fmt.Errorf("the client certificate in cert_file %q is valid from %s only: check it and the clock", t.CertFile, pair.Leaf.NotBefore.UTC().Format(time.RFC3339))
		}
		return &pair, nil
	}
}
