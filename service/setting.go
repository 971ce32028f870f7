package service

import "fmt"

// A Setting names a setting of Config in errors. The command line has a flag of the
// same name.
type Setting string

// The settings that errors name.
const (
	HTTPAddress      Setting = "http_address"
	ConfigDir        Setting = "config_dir"
	StateDir         Setting = "state_dir"
	TokenFile        Setting = "token_file"
	InsecureAPI      Setting = "insecure_api"
	LogFormat        Setting = "log_format"
	Verbosity        Setting = "verbosity"
	Retention        Setting = "retention"
	MaxEntries       Setting = "max_entries"
	Registry         Setting = "registry"
	RegistryAddress  Setting = "registry_address"
	Broker           Setting = "broker"
	BrokerAddress    Setting = "broker_address"
	ServerName       Setting = "server_name"
	ServerVersion    Setting = "server_version"
	ServerID         Setting = "server_id"
	ServerAddress    Setting = "server_address"
	ServerAdvertise  Setting = "server_advertise"
	RegisterTTL      Setting = "register_ttl"
	RegisterInterval Setting = "register_interval"
	RequestTimeout   Setting = "client_request_timeout"
	Retries          Setting = "client_retries"
	PoolSize         Setting = "client_pool_size"
	PoolTTL          Setting = "client_pool_ttl"
)

// A SettingError is an error about the value of a setting, or about what it names.
type SettingError struct {
	Setting Setting
	// Unusable is set if the setting is fine, but what it names cannot be used: an
	// address that is taken, a directory that another process uses.
	Unusable bool

	format string
	args   []any // of format, settings among them
}

// Error implements error. It calls settings by their names.
func (e *SettingError) Error() string {
	return e.Words(func(s Setting) string { return string(s) })
}

// Words returns the error with settings called as name says.
func (e *SettingError) Words(name func(Setting) string) string {
	args := make([]any, len(e.args))
	for i, arg := range e.args {
		if s, ok := arg.(Setting); ok {
			arg = name(s)
		}
		args[i] = arg
	}
	return fmt.Sprintf(e.format, args...)
}

// Unwrap returns the cause, if there is one.
func (e *SettingError) Unwrap() error {
	for _, arg := range e.args {
		if err, ok := arg.(error); ok {
			return err
		}
	}
	return nil
}

// invalid says what is wrong with a setting, whose name the text begins with.
func invalid(s Setting, format string, args ...any) error {
	return &SettingError{Setting: s, format: "%v" + format, args: append([]any{s}, args...)}
}

// unusable says why what a setting names cannot be used. noun says what that is.
func unusable(s Setting, noun string, err error) error {
	return &SettingError{Setting: s, Unusable: true, format: "%v; %v names another " + noun, args: []any{err, s}}
}
