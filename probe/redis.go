package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/setting"
)

// redisConfig holds the keys of the kind redis.
type redisConfig struct {
	// Address is host:port.
	Address string `toml:"address"`
	// Unix is the path of a socket, in place of the address.
	Unix string `toml:"unix"`
	// Command is the command and its arguments, separated by spaces; quotes are those
	// of redis-cli.
	Command string `toml:"command"`
	// Expect is a regular expression that the reply must match, ExpectNot one that it
	// must not match.
	Expect    string `toml:"expect"`
	ExpectNot string `toml:"expect_not"`
	// Parse makes the number in the reply the value. Without it the value is 0 if
	// there is a reply.
	Parse bool `toml:"parse"`
	// Errval is the value shown with parse when the probe fails.
	Errval float64 `toml:"errval"`
	// DB is the number of the database.
	DB int `toml:"db"`
	// User and Password, or the content of PasswordFile or PasswordEnv, are sent to
	// authenticate.
	User         string         `toml:"user"`
	Password     setting.Secret `toml:"password"`
	PasswordFile string         `toml:"password_file"`
	PasswordEnv  string         `toml:"password_env"`
	// TLS enables TLS, even if the table is empty.
	TLS *setting.TLS `toml:"tls"`
}

// maxRedisAnswer bounds the replies of a server, in bytes.
const maxRedisAnswer = 64 << 10

// redisProbe implements the needed part of RESP. Client libraries trust the lengths
// that a server announces and allocate memory for them.
type redisProbe struct {
	endpoint
	config redisConfig
	// steps are the commands to send, each with its description for errors.
	steps    []redisStep
	password string
	expect   replyRule
}

type redisStep struct {
	doing string
	words []string
}

func newRedis(decode func(any) error, env Env) (Probe, error) {
	c := redisConfig{Command: "PING"}
	if err := decode(&c); err != nil {
		return nil, err
	}
	if err := env.localOnly(); err != nil {
		return nil, err
	}
	e, err := newEndpoint(c.Address, c.Unix, c.TLS, env)
	if err != nil {
		return nil, err
	}
	password, err := setting.SecretFrom("password", c.Password, c.PasswordFile, c.PasswordEnv)
	if err != nil {
		return nil, err
	}
	p := &redisProbe{endpoint: e, config: c, password: password.Reveal()}
	if p.expect, err = newReplyRule(c.Expect, c.ExpectNot); err != nil {
		return nil, err
	}
	return p, p.plan()
}

// plan checks the remaining keys and sets the commands to send.
func (p *redisProbe) plan() error {
	c := p.config
	if c.DB < 0 {
		return fmt.Errorf("db: %d is out of range: give 0 or more", c.DB)
	}
	words, err := redisWords(c.Command)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if err := required("command", strings.Join(words, " ")); err != nil {
		return err
	}
	switch strings.ToUpper(words[0]) {
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC":
		return fmt.Errorf("command: %s does not answer once", strings.ToUpper(words[0]))
	}
	switch {
	case c.User != "":
		// A user without a password ("nopass") is accepted with any.
		p.steps = append(p.steps, redisStep{"authenticating", []string{"AUTH", c.User, p.password}})
	case p.password != "":
		p.steps = append(p.steps, redisStep{"authenticating", []string{"AUTH", p.password}})
	}
	if c.DB > 0 {
		p.steps = append(p.steps, redisStep{"choosing the database", []string{"SELECT", strconv.Itoa(c.DB)}})
	}
	p.steps = append(p.steps, redisStep{"running " + strings.ToUpper(words[0]), words})
	return finite("errval", c.Errval)
}

// Probe runs the command over a new connection.
func (p *redisProbe) Probe(ctx context.Context) (Result, error) {
	watch := startStopwatch()
	text, err := p.ask(ctx, watch)
	r := Result{Detail: redactText(printable(text), p.password), Phases: watch.phases()}
	if err == nil {
		err = p.expect.judge(ctx, []byte(text), false)
	}
	if err == nil && p.config.Parse {
		if r.Value, err = ParseValue(text); err != nil {
			err = fmt.Errorf("the answer %w: %.40q", err, printable(text))
		}
	}
	if err != nil {
		r.Value = failedValue
		if p.config.Parse {
			r.Value = p.config.Errval
		}
		return r, redact(fmt.Errorf("%s: %w", p.name(p.config.Address), err), p.password)
	}
	return r, nil
}

// ask sends all commands at once and returns the reply to the last one.
func (p *redisProbe) ask(ctx context.Context, watch *stopwatch) (answer string, err error) {
	conn, release, err := p.connect(ctx, watch)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer release()
	var request strings.Builder
	for _, s := range p.steps {
		fmt.Fprintf(&request, "*%d\r\n", len(s.words))
		for _, w := range s.words {
			fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return "", fmt.Errorf("sending: %w", withCause(ctx, err))
	}
	br := bufio.NewReader(io.LimitReader(conn, maxRedisAnswer))
	for _, s := range p.steps {
		if answer, err = redisReply(br); err != nil {
			return "", fmt.Errorf("%s: %w", s.doing, withCause(ctx, err))
		}
	}
	watch.lap(phaseFirstByte)
	return answer, nil
}

// redisReply reads one reply of RESP2 or RESP3. It reads only the length of an
// aggregate, so one must be the last reply.
func redisReply(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		return "", explainRedisEOF(line, err)
	}
	text, isLine := strings.CutSuffix(line, "\r\n")
	if !isLine || text == "" {
		return "", notRedis(line)
	}
	switch rest := text[1:]; text[0] {
	case '+', ':', ',', '(':
		return rest, nil
	case '#':
		return map[string]string{"t": "1", "f": "0"}[rest], nil
	case '-':
		return "", fmt.Errorf("the server answered %q", printable(rest))
	case '_':
		return "", errRedisNil
	case '*', '~', '%', '>':
		n, err := redisLength(line)
		return fmt.Sprintf("%d elements", n), err
	case '$', '=', '!':
		return redisBulk(br, line)
	}
	return "", notRedis(line)
}

// redisLength reads the length in the first line of a reply.
func redisLength(line string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSuffix(line[1:], "\r\n"), 10, 64)
	switch {
	case err != nil:
		return 0, notRedis(line)
	case n < 0:
		return 0, errRedisNil
	}
	return n, nil
}

// redisBulk reads a reply whose length is in its first line.
func redisBulk(br *bufio.Reader, line string) (string, error) {
	n, err := redisLength(line)
	if err != nil {
		return "", err
	}
	if n > maxRedisAnswer {
		return "", fmt.Errorf("the answer is larger than %d KiB", maxRedisAnswer>>10)
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(br, text); err != nil {
		return "", explainRedisEOF("", err)
	}
	switch text = text[:n]; {
	case line[0] == '!':
		return "", fmt.Errorf("the server answered %q", printable(string(text)))
	case line[0] == '=' && n >= 4: // a format such as "txt:" comes first
		text = text[4:]
	}
	return string(text), nil
}

var errRedisNil = errors.New("the server answered nil")

// notRedis shows what was said in place of a reply.
func notRedis(line string) error {
	if said := printable(strings.TrimSpace(line)); said != "" {
		return fmt.Errorf("the answer is not a Redis reply: %q", said)
	}
	return errors.New("the answer is not a Redis reply")
}

// explainRedisEOF replaces the end of a connection, or of the limit, by a clearer
// error.
func explainRedisEOF(had string, err error) error {
	switch {
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case had != "" && !strings.ContainsRune("+-:$*_,#(=!~%>", rune(had[0])):
		return notRedis(had)
	}
	return fmt.Errorf("the connection was closed before the answer was complete, or the answer is larger than %d KiB", maxRedisAnswer>>10)
}

// Close does nothing: each probe opens its own connection.
func (p *redisProbe) Close() error { return nil }
