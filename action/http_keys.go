package action

import (
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strings"

	"github.com/microhq/monitor-srv/setting"
)

// httpKeys are the keys of an http action; down to timeout they are goma's.
type httpKeys struct {
	// URLInit, URLFail and URLRecover are the targets of each event. An event without
	// a URL is not sent. Reminders go to URLFail.
	URLInit    setting.Secret `toml:"url_init"`
	URLFail    setting.Secret `toml:"url_fail"`
	URLRecover setting.Secret `toml:"url_recover"`
	// URLInitFile and the like say where a URL is read from instead.
	URLInitFile    string `toml:"url_init_file"`
	URLInitEnv     string `toml:"url_init_env"`
	URLFailFile    string `toml:"url_fail_file"`
	URLFailEnv     string `toml:"url_fail_env"`
	URLRecoverFile string `toml:"url_recover_file"`
	URLRecoverEnv  string `toml:"url_recover_env"`
	// Method is GET, or POST if there is a body.
	Method string `toml:"method"`
	// Agent is the User-Agent; default monitor-srv/VERSION.
	Agent string `toml:"agent"`
	// Header adds headers to the request.
	Header map[string]setting.Secret `toml:"header"`
	// HeaderFile and HeaderEnv say where the values of headers are read from.
	HeaderFile map[string]string `toml:"header_file"`
	HeaderEnv  map[string]string `toml:"header_env"`
	// Params adds fields to the form.
	Params map[string]setting.Secret `toml:"params"`
	// ParamsFile and ParamsEnv say where the values of fields are read from.
	ParamsFile map[string]string `toml:"params_file"`
	ParamsEnv  map[string]string `toml:"params_env"`
	// Timeout is how long a request may take; 30 s, at most 10 min.
	Timeout setting.Duration `toml:"timeout"`

	// Body is a template that replaces the form.
	Body string `toml:"body"`
	// ContentType is the media type of the body; default application/json.
	ContentType string `toml:"content_type"`
	// Incident adds the fields incident and error to the form; default true.
	Incident bool `toml:"incident"`
	// TLS holds the trusted authorities and the client certificate.
	TLS setting.TLS `toml:"tls"`
}

// readSecrets reads what files and variables hold.
func (keys *httpKeys) readSecrets() (err error) {
	for _, k := range []struct {
		key       string
		url       *setting.Secret
		file, env string
	}{
		{"url_init", &keys.URLInit, keys.URLInitFile, keys.URLInitEnv},
		{"url_fail", &keys.URLFail, keys.URLFailFile, keys.URLFailEnv},
		{"url_recover", &keys.URLRecover, keys.URLRecoverFile, keys.URLRecoverEnv},
	} {
		secret, err := setting.SecretFrom(k.key, *k.url, k.file, k.env)
		if err != nil {
			return err
		}
		*k.url = setting.NewSecret(strings.TrimSpace(secret.Reveal()))
	}
	if keys.Header, err = secretTable("header", keys.Header, keys.HeaderFile, keys.HeaderEnv); err != nil {
		return err
	}
	keys.Params, err = secretTable("params", keys.Params, keys.ParamsFile, keys.ParamsEnv)
	return err
}

// secretTable returns the values of a table of secrets that files and variables may
// hold.
func secretTable(key string, inline map[string]setting.Secret, files, envs map[string]string) (map[string]setting.Secret, error) {
	all := map[string]setting.Secret{}
	for _, names := range []iter.Seq[string]{maps.Keys(inline), maps.Keys(files), maps.Keys(envs)} {
		for name := range names {
			secret, err := setting.SecretFrom(key, inline[name], files[name], envs[name])
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", key, name, err)
			}
			all[name] = secret
		}
	}
	return all, nil
}

// secrets returns a redactor of everything in keys that may be secret.
func (keys httpKeys) secrets() *redactor {
	var list []string
	for _, text := range []setting.Secret{keys.URLInit, keys.URLFail, keys.URLRecover} {
		u, err := url.Parse(text.Reveal())
		if err != nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			list = append(list, password)
		}
		// The path of a webhook is its password.
		list = append(list, u.User.Username(), u.RawQuery, u.Path, u.EscapedPath())
		for _, values := range u.Query() {
			list = append(list, values...)
		}
	}
	for _, m := range []map[string]setting.Secret{keys.Header, keys.Params} {
		for _, value := range m {
			list = append(list, value.Reveal())
		}
	}
	return newRedactor(list...)
}
