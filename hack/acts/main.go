// SPDX-License-Identifier: Apache-2.0

// Command acts runs the conformance tests of A2A that are written as data
// (ACTS) against Errand, in one process with an agent made for them.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"

	"github.com/errand-a2a/errand/hack/acts/format"
	"github.com/errand-a2a/errand/hack/acts/report"
	"github.com/errand-a2a/errand/hack/acts/runner"
	"github.com/errand-a2a/errand/hack/acts/sut"
	"github.com/errand-a2a/errand/hack/acts/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

type settings struct {
	dir, markdown string
	only          *regexp.Regexp
	verbose       bool
	parallel      int
	known         []report.Deviation
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parseArgs(args, stderr)
	if err != nil {
		return exitUsage
	}
	rep, err := s.test(ctx, stderr)
	if err == nil {
		err = rep.Print(stdout, s.verbose)
	}
	if err == nil && s.markdown != "" {
		err = writePage(s.markdown, rep)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "acts:", err)
		return exitUsage
	}
	if !rep.OK() {
		return exitFailed
	}
	return exitOK
}

func parseArgs(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{known: report.Known()}
	fs := flag.NewFlagSet("acts", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.dir, "acts", "", "`directory` with the test files")
	fs.StringVar(&s.markdown, "markdown", "", "write the results as a page to `file`")
	fs.BoolVar(&s.verbose, "v", false, "say more, also while the tests run")
	fs.IntVar(&s.parallel, "parallel", 6, "how many tests run at a time")
	only := fs.String("run", "", "only tests whose id matches the `regexp`")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if s.only, err = regexp.Compile(*only); err == nil && (s.dir == "" || s.parallel < 1 || fs.NArg() > 0) {
		err = errors.New("want -acts DIR, -parallel of at least 1, and no further arguments")
	}
	if err == nil && s.markdown != "" && *only != "" {
		err = errors.New("-markdown is about all tests, and -run leaves some out")
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "acts:", err)
	}
	return s, err
}

// load reads the tests and picks those that shall run; all says that these are
// all there are.
func (s *settings) load() (suite *format.Suite, all bool, err error) {
	suite, err = format.Load(os.DirFS(s.dir), format.Known{Behaviors: sut.Behaviors(), Errors: wire.ErrorNames()})
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", s.dir, err)
	}
	if err := runner.Check(suite.Tests); err != nil {
		return nil, false, err
	}
	n := len(suite.Tests)
	suite.Tests = slices.DeleteFunc(suite.Tests, func(t *format.Test) bool { return !s.only.MatchString(t.ID) })
	if len(suite.Tests) == 0 {
		return nil, false, fmt.Errorf("-run %s matches no test", s.only)
	}
	return suite, len(suite.Tests) == n, nil
}

// test starts the server and runs the tests against it.
func (s *settings) test(ctx context.Context, stderr io.Writer) (rep *report.Report, err error) {
	suite, all, err := s.load()
	if err != nil {
		return nil, err
	}
	log := io.Discard
	if s.verbose {
		log = stderr
	}
	server, err := sut.Start(ctx, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	card, err := wire.GetCard(ctx, server.URL, wire.Options{HTTP: hc, Version: suite.SpecVersion})
	if err != nil {
		return nil, err
	}
	r := &runner.Runner{
		Base: server.URL, Card: card, Version: suite.SpecVersion, HTTP: hc, Getenv: os.LookupEnv,
		Release: server.Gates.Open,
	}
	r.Connect()
	defer func() { err = errors.Join(err, r.Close()) }()
	results := r.RunAll(ctx, suite.Tests, s.parallel, func(res runner.Result) {
		_, _ = fmt.Fprintln(log, res.Outcome, res.Test.ID, res.Binding)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return report.Judge(results, s.known, all, func(t *format.Test, binding, amend string) runner.Result {
		return r.Run(ctx, t, binding, amend)
	}), nil
}

func writePage(file string, rep *report.Report) error {
	var b bytes.Buffer
	if err := rep.Markdown(&b); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
