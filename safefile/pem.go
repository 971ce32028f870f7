package safefile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// maxPEM is the largest size of a PEM file, in bytes. A bundle of all public
// certificate authorities is a quarter of it.
const maxPEM = 1 << 20

// PEM is a PEM file and what names it, for errors: a key such as "ca_file", or a
// variable.
type PEM struct{ NamedBy, Path string }

// AddCAs adds the certificates of a file to a pool.
func (p PEM) AddCAs(pool *x509.CertPool) error {
	text, err := p.read()
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(text) {
		return p.reading(p.explain(text, "CERTIFICATE"))
	}
	return nil
}

// KeyPair returns the certificate of one file and the private key of another.
func KeyPair(cert, key PEM) (tls.Certificate, error) {
	certText, err := cert.read()
	if err != nil {
		return tls.Certificate{}, err
	}
	keyText, err := key.read()
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err == nil {
		return pair, nil
	}
	if reason := cert.explain(certText, "CERTIFICATE"); reason != nil {
		return pair, cert.reading(reason)
	}
	if reason := key.explain(keyText, "PRIVATE KEY"); reason != nil {
		return pair, key.reading(reason)
	}
	text := strings.TrimPrefix(err.Error(), "tls: ")
	if strings.Contains(text, "does not match") {
		return pair, key.reading(fmt.Errorf("the key is not that of the certificate in %s %q: give the two that belong together, the certificate of the client first in its file", cert.NamedBy, cert.Path))
	}
	if _, err := x509.ParseCertificate(firstBlock(certText)); err != nil {
		return pair, cert.reading(fmt.Errorf("the certificate cannot be decoded: %w", err))
	}
	return pair, key.reading(errors.New("the key cannot be decoded: " + text))
}

func (p PEM) read() ([]byte, error) {
	text, err := Read(p.Path, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.NamedBy, err)
	}
	// Editors of Windows put a byte order mark before the first line.
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

func (p PEM) reading(err error) error {
	if err == nil {
		err = errors.New("it contains no certificate that can be decoded")
	}
	return fmt.Errorf("reading %s %q: %w", p.NamedBy, p.Path, err)
}

// explain returns why a text has no usable block of a type such as "CERTIFICATE", or
// nil if it has one. All types of private keys end with "PRIVATE KEY".
func (p PEM) explain(text []byte, want string) error {
	var others []string
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && (strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != ""):
			if want == "PRIVATE KEY" {
				return fmt.Errorf("the key is encrypted with a passphrase, which nobody can type here: write a key without one by \"openssl pkey -in %s -out KEY\", give that, and let nobody else read it (chmod 0600 KEY)", p.Path)
			}
		case strings.HasSuffix(block.Type, want):
			return nil
		}
		others = append(others, strings.ToLower(block.Type))
	}
	noun := "private key"
	if want == "CERTIFICATE" {
		noun = "certificate"
	}
	switch {
	case len(others) > 0:
		return fmt.Errorf("it contains no %s but a %s", noun, others[0])
	case isDER(text):
		return fmt.Errorf("it is not PEM but %s", p.conversion(noun))
	}
	return fmt.Errorf("it contains no %s in PEM format (-----BEGIN %s-----)", noun, want)
}

// isDER reports whether a text begins as a long ASN.1 sequence.
func isDER(text []byte) bool {
	return bytes.HasPrefix(text, []byte{0x30, 0x82}) || bytes.HasPrefix(text, []byte{0x30, 0x81}) || len(text) > 2 && text[0] == 0x30 && int(text[1]) == len(text)-2
}

// conversion says what a binary file probably is, and how to convert it.
func (p PEM) conversion(noun string) string {
	switch ext := strings.ToLower(filepath.Ext(p.Path)); {
	case ext == ".p12" || ext == ".pfx":
		return fmt.Sprintf("PKCS #12: convert it by \"openssl pkcs12 -in %s -nodes -out FILE\"", p.Path)
	case noun == "certificate":
		return fmt.Sprintf("DER: convert it by \"openssl x509 -inform der -in %s -out FILE\"", p.Path)
	}
	return fmt.Sprintf("DER: convert it by \"openssl pkey -inform der -in %s -out FILE\"", p.Path)
}

// firstBlock returns the content of the first certificate of a text.
func firstBlock(text []byte) []byte {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil
		}
		if block.Type == "CERTIFICATE" {
			return block.Bytes
		}
		text = rest
	}
}
