package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	shop      = "[[monitor]]\nname = \"shop\"\n"
	shopProbe = "[monitor.probe]\ntype = \"http\"\nurl = \"https://shop.example.org/\"\n"
)

// mistakes are files with common mistakes and the expected problems.
func mistakes() map[string]struct{ text, want string } {
	return map[string]struct{ text, want string }{
		"a key":             {shop + "intervall = 10\n" + shopProbe, `3: monitor "shop": intervall: unknown key; did you mean "interval"?`},
		"a dash":            {shop + "retry-interval = 10\n" + shopProbe, `3: monitor "shop": retry-interval: unknown key; did you mean "retry_interval"?`},
		"a kind":            {shop + "[monitor.probe]\ntype = \"htpp\"\n", `4: monitor "shop": unknown type of probe "htpp"; did you mean "http"?`},
		"quotes":            {shop + "max = \"10\"\n" + shopProbe, `3: monitor "shop": max: want a number, have a string: write it without quotes`},
		"no quotes":         {shop + "labels = { team = 3 }\n" + shopProbe, `3: monitor "shop": labels.team: want a string, have a whole number: write it in quotes`},
		"negative":          {shop + "interval = -5\n" + shopProbe, `3: monitor "shop": interval: -5 seconds is out of range: give 0 to 86400`},
		"too short":         {shop + "interval = \"500ms\"\n" + shopProbe, `3: monitor "shop": interval: 500ms is out of range: give 1s to 24h`},
		"timeout":           {shop + "interval = \"10s\"\ntimeout = \"30s\"\n" + shopProbe, `4: monitor "shop": timeout: 30s is out of range: give more than 0 and at most the interval, 10s`},
		"no name":           {"[[monitor]]\n" + shopProbe, `1: name: this key is required`},
		"no probe":          {shop, `1: monitor "shop": probe: this table is required, with a key "type"`},
		"two probes":        {shop + shopProbe + "[monitor.probe]\ntype = \"tcp\"\n", `6: "monitor.probe" is defined twice: remove one, or start another [[monitor]] before it`},
		"a list":            {shop + "[[monitor.probe]]\ntype = \"tcp\"\n", `3: monitor "shop": probe: want a table, have a list: write one [monitor.probe] in place of [[monitor.probe]]`},
		"no list":           {shop + shopProbe + "[monitor.actions]\ntype = \"exec\"\n", `6: monitor "shop": actions: want a list, have a table: write [[monitor.actions]] in place of [monitor.actions]`},
		"singular":          {"[monitor]\nname = \"shop\"\n", `1: monitor: want a list, have a table: write [[monitor]] in place of [monitor]`},
		"too far down":      {shop + shopProbe + "timeout = 3\n", `6: monitor "shop": probe http: timeout: unknown key; it is a key of [[monitor]]: move it directly below that header`},
		"no type":           {shop + shopProbe + "[[monitor.actions]]\nto = [\"a@b.c\"]\n", `6: monitor "shop": actions[0]: the table needs a key "type"`},
		"a receiver":        {shop + shopProbe + "[[monitor.actions]]\nreceiver = \"opps\"\n[[receiver]]\nname = \"ops\"\ntype = \"publish\"\n", `6: monitor "shop": receiver "opps" is not defined in any file; did you mean "ops"?`},
		"a wrong receiver":  {shop + shopProbe + "[[monitor.actions]]\nreceiver = \"ops\"\n[[receiver]]\nname = \"ops\"\ntype = \"publihs\"\n", "10: receiver \"ops\": unknown type of action \"publihs\"; did you mean \"publish\"?\n6: monitor \"shop\": receiver \"ops\" is not available: its [[receiver]] is invalid"},
		"window":            {shop + shopProbe + "[monitor.filter]\ntype = \"average\"\nwindow = 0\n", `8: monitor "shop": filter average: window is 0: give 1 to 10000`},
		"a URL":             {shop + "[monitor.probe]\ntype = \"http\"\nurl = \"shop.example.org\"\n", `5: monitor "shop": probe http: url: not an http or https URL such as https://host:port/path`},
		"a regexp":          {shop + shopProbe + "expect_body = \"(ok\"\n", `6: monitor "shop": probe http: expect_body: error parsing regexp: missing closing ): ` + "`(ok`"},
		"a certificate":     {shop + shopProbe + "[monitor.probe.tls]\ncert_file = \"/x\"\n", `7: monitor "shop": probe http: tls: give both cert_file and key_file, or none`},
		"a file":            {shop + shopProbe + "bearer_file = \"/nonexistent\"\n", `6: monitor "shop": probe http: reading bearer_file: open /nonexistent: no such file or directory`},
		"min without":       {shop + "min = 5\n" + shopProbe, `3: monitor "shop": min: 5 is more than max, 0: every value would fail; set max too`},
		"never warns":       {shop + "max = 10\nwarn_max = 20\n" + shopProbe, `4: warning: monitor "shop": warn_max: 20 is not below max 10: it never warns`},
		"always warns":      {shop + "min = 5\nmax = 10\nwarn_min = 11\n" + shopProbe, `5: warning: monitor "shop": warn_min: 11 is above max 10: every value in range is a warning`},
		"a bare word":       {shop + "interval = 10s\n" + shopProbe, `3: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead: put text in quotes, as in key = "10s"`},
		"a quote":           {shop + "labels = { team = \"a }\n" + shopProbe, `3: strings cannot contain newlines: a quote is missing`},
		"a header":          {"[[monitor\nname = \"shop\"\n", `1: expected '.' or ']' to end table name, but got '\n' instead: the header is not closed`},
		"no value":          {shop + "interval =\n" + shopProbe, `3: expected value but found '\n' instead: the value is missing`},
		"quotes of a page":  {shop + "labels = { team = \u201ca\u201d }\n", "3: expected value but found '\u201c' instead: the line contains the character '\u201c' (U+201C): use plain spaces and quotes"},
		"Latin 1":           {"[[monitor]]\nname = \"caf\xe9\"\n", `2: invalid UTF-8 byte: 0xe9: save the file as UTF-8`},
		"old Mac":           {strings.ReplaceAll(shop, "\n", "\r"), `1: TOML files cannot contain control characters: '0x0d': save the file with Unix or DOS line endings`},
		"JSON":              {`{"name": "shop"}`, `1: expected '.' or '=', but got '{' instead: this looks like JSON, which only the register command accepts; monitor files are TOML`},
		"DOS":               {strings.ReplaceAll(shop+shopProbe, "\n", "\r\n"), ""},
		"a byte order mark": {"\ufeff" + shop + shopProbe, ""},
		"tabs":              {"[[monitor]]\n\tname\t=\t\"shop\"\n\t[monitor.probe]\n\ttype = \"http\"\n\turl = \"https://shop.example.org/\"\n", ""},
	}
}

func TestCommonMistakesAreExplained(t *testing.T) {
	for name, mistake := range mistakes() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.toml")
			if err := os.WriteFile(file, []byte(mistake.text), 0o600); err != nil {
				t.Fatal(err)
			}
			set, problems := loadFiles(file)
			problems = append(problems, builtinGroup().Apply(set, problems)...)
			var got []string
			for _, p := range problems {
				got = append(got, strings.TrimPrefix(p.Error(), file+":"))
			}
			if got := strings.Join(got, "\n"); got != mistake.want {
				t.Errorf("got\n%s\nwant\n%s", got, mistake.want)
			}
		})
	}
}
