package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/safefile"
)

const (
	// maxConsulFile is the largest size of a token file, in bytes.
	maxConsulFile = 64 << 10
	// maxCAFiles bounds the files of CONSUL_CAPATH.
	maxCAFiles = 1000
)

// newConsulTLS returns the configuration that conf describes, as api.SetupTLSConfig
// does, which would read whatever its variables name, of any size.
func newConsulTLS(conf api.TLSConfig) (*tls.Config, error) {
	certFile, keyFile := safefile.PEM{NamedBy: api.HTTPClientCert, Path: conf.CertFile}, safefile.PEM{NamedBy: api.HTTPClientKey, Path: conf.KeyFile}
	caFile, caPath := conf.CAFile, conf.CAPath
	conf.CertFile, conf.KeyFile, conf.CAFile, conf.CAPath = "", "", "", ""
	config, err := api.SetupTLSConfig(&conf)
	if err != nil {
		return nil, err
	}
	if (certFile.Path == "") != (keyFile.Path == "") {
		return nil, fmt.Errorf("set both %s and %s, or none", certFile.NamedBy, keyFile.NamedBy)
	}
	if certFile.Path != "" {
		pair, err := safefile.KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	// The file takes precedence over the directory, as in Consul's own tools.
	switch {
	case caFile != "":
		config.RootCAs = x509.NewCertPool()
		return config, safefile.PEM{NamedBy: api.HTTPCAFile, Path: caFile}.AddCAs(config.RootCAs)
	case caPath != "":
		config.RootCAs = x509.NewCertPool()
		return config, addCAPath(config.RootCAs, caPath)
	}
	return config, nil
}

// addCAPath adds the certificates of all files below a directory.
func addCAPath(pool *x509.CertPool, dir string) error {
	files := 0
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading the directory that %s names: %w", api.HTTPCAPath, err)
		}
		if info, err := os.Stat(path); d.IsDir() || err == nil && info.IsDir() {
			return nil // Kubernetes links to one
		}
		if files++; files > maxCAFiles {
			return errors.New("the directory that " + api.HTTPCAPath + " names contains too many files")
		}
		return safefile.PEM{NamedBy: "a file of " + api.HTTPCAPath, Path: path}.AddCAs(pool)
	})
}
