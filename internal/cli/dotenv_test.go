// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestParseDotenv(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in, want string
		fails    bool
	}{
		"a plain value is taken as it is":              {in: "A2ACLI_X=a b", want: "a b"},
		"white space around it is not its part":        {in: "  export A2ACLI_X =  a  \r\n", want: "a"},
		"a comment needs white space before it":        {in: "A2ACLI_X=a#b # c", want: "a#b"},
		"a value may be nothing but a comment":         {in: "A2ACLI_X= # c", want: ""},
		"single quotes keep everything":                {in: `A2ACLI_X='a\n#"' # c`, want: `a\n#"`},
		"double quotes know escapes":                   {in: `A2ACLI_X="a\n\"\\\q#"`, want: "a\n\"\\\\q#"},
		"the last line of a name wins":                 {in: "A2ACLI_X=a\nA2ACLI_X=b", want: "b"},
		"lines of other programs are passed over":      {in: "FOO='\n}{\nA2ACLI_X=a\nBAR", want: "a"},
		"a line without a value fails":                 {in: "A2ACLI_X", fails: true},
		"quotes that do not match fail":                {in: `A2ACLI_X="a`, fails: true},
		"single quotes that do not match fail":         {in: `A2ACLI_X='a`, fails: true},
		"words behind the closing quote fail":          {in: `A2ACLI_X="a" b`, fails: true},
		"words behind the closing single quote fail":   {in: `A2ACLI_X='a' b`, fails: true},
		"a byte order mark before the first line goes": {in: "\uFEFFA2ACLI_X=a", want: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseDotenv(tc.in)
			if (err != nil) != tc.fails {
				t.Fatalf("%v", err)
			}
			if diff := cmp.Diff(tc.want, got["A2ACLI_X"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseDotenv(f *testing.F) {
	f.Add("A2ACLI_X='a'\nexport A2ACLI_Y=\"b\\n\" # c")
	f.Fuzz(func(t *testing.T, in string) {
		values, err := parseDotenv(in)
		for k := range values {
			if err != nil || !strings.HasPrefix(k, "A2ACLI_") {
				t.Errorf("%q with %v", k, err)
			}
		}
	})
}

// FuzzText checks the floor of text output: whatever an agent says, a field is
// one line and no control character gets through.
func FuzzText(f *testing.F) {
	f.Add(`{"task":{"id":"t","status":{"state":"X\u001b"},"artifacts":[{"parts":[{"text":"a\nb"},{"raw":"eA=="},{"data":[1]},{"url":"u"},{}]}]}}`)
	f.Add(`{"artifactUpdate":{"append":true,"artifact":{"parts":[{"text":"\u009b31m"}]}}}`)
	f.Fuzz(func(t *testing.T, in string) {
		v, err := viewEvent([]byte(in))
		if err != nil {
			return
		}
		out := &text{verbose: true, history: true}
		out.event(v)
		for _, c := range out.buf.String() {
			if unicode.IsControl(c) && c != '\n' && c != '\t' {
				t.Fatalf("%q gets through in %q", c, out.buf.String())
			}
		}
		out.buf.Reset()
		if out.field("L", in); strings.Count(out.buf.String(), "\n") != 1 {
			t.Fatalf("a field of several lines: %q", out.buf.String())
		}
	})
}
