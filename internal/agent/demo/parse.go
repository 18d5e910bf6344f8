// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// The bounds of the arguments. They keep a mistyped number from filling a disk
// or holding a worker for a day; nothing depends on their values.
const (
	maxCount = 1_000_000
	maxEvery = time.Hour
	maxSleep = 24 * time.Hour
	maxFlaky = 1000
)

type countArgs struct {
	to    int
	every time.Duration
}

// parseCount reads "to N [every D]".
func parseCount(args string) (countArgs, error) {
	f := strings.Fields(args)
	if !(len(f) == 2 || (len(f) == 4 && f[2] == "every")) || f[0] != "to" {
		return countArgs{}, fmt.Errorf("cannot read %q: say \"count to N\" or \"count to N every D\", "+
			"as in \"count to 10 every 200ms\"", "count "+args)
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 1 || n > maxCount {
		return countArgs{}, fmt.Errorf("cannot count to %q: N is a whole number from 1 to %d", f[1], maxCount)
	}
	c := countArgs{to: n}
	if len(f) == 4 {
		if c.every, err = parseDuration(f[3], maxEvery); err != nil {
			return countArgs{}, err
		}
	}
	return c, nil
}

func parseSleep(args string) (time.Duration, error) { return parseDuration(args, maxSleep) }

func parseFlaky(args string) (int, error) {
	n, err := strconv.Atoi(args)
	if err != nil || n < 0 || n > maxFlaky {
		return 0, fmt.Errorf("cannot fail %q times: N is a whole number from 0 to %d, as in \"flaky 2\"", args, maxFlaky)
	}
	return n, nil
}

func parseDuration(s string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("cannot wait %q: D is a duration from 0s to %s with a unit, such as 20ms, 1.5s or 2m", s, most)
	}
	return d, nil
}

// splitWord returns the first word in lower case and what follows it.
func splitWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return strings.ToLower(text[:i]), strings.TrimSpace(text[i:])
	}
	return strings.ToLower(text), ""
}

// textOf joins the text parts of a message.
func textOf(m *a2a.Message) string {
	if m == nil {
		return ""
	}
	var texts []string
	for _, p := range m.Parts {
		if s := p.Text(); s != "" {
			texts = append(texts, s)
		}
	}
	return strings.Join(texts, "\n")
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
