// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/spf13/cobra"

	"github.com/errand-a2a/errand/internal/client"
)

// The exit statuses of the a2a-cli specification, §11.6.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitAuth        = 4
	exitTimeout     = 5
	// exitInterrupted is the shells' number for a command that SIGINT ended.
	exitInterrupted = 130
)

// The codes of the a2a-cli specification, Appendix D.
const (
	codeUsage        = "A2ACLI_ERR_USAGE"
	codeCardNotFound = "A2ACLI_ERR_CARD_NOT_FOUND"
	codeCardInvalid  = "A2ACLI_ERR_CARD_INVALID"
	codeUnreachable  = "A2ACLI_ERR_UNREACHABLE"
	codeCredentials  = "A2ACLI_ERR_CREDENTIALS_MISSING"
	codeAuthFailed   = "A2ACLI_ERR_AUTH_FAILED"
	codeTimeout      = "A2ACLI_ERR_TIMEOUT"
	codeInternal     = "A2ACLI_ERR_INTERNAL"
)

var (
	errCardTimeout = errors.New("the card did not come within 30 seconds")
	errInterrupted = errors.New("interrupted")
)

// failure is an error as it is shown. Code, Message, Hint and A2ACode are the
// error envelope's fields.
type failure struct {
	Code    string
	Message string
	Hint    string
	A2ACode any
	Exit    int
}

// envelope is Appendix B's error object.
type envelope struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    any    `json:"hint"`
	A2ACode any    `json:"a2aCode"`
}

func (f *failure) Error() string { return f.Message }

func usage(message, hint string) *failure {
	return &failure{Code: codeUsage, Message: message, Hint: hint, Exit: exitUsage}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Sprintf("%s takes no arguments; it was given %q", cmd.CommandPath(), args[0]), cmd.CommandPath()+" --help")
	}
	return nil
}

func oneTask(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usage(fmt.Sprintf("%s needs one task id; it was given %d arguments", cmd.CommandPath(), len(args)), cmd.CommandPath()+" TASK")
	}
	return nil
}

// report shows an error and returns the exit status that goes with it.
func (r *run) report(err error) int {
	f := r.classify(err)
	if r.json() {
		var hint any
		if f.Hint != "" {
			hint = f.Hint
		}
		_ = json.NewEncoder(r.out).Encode(struct {
			Error envelope `json:"error"`
		}{envelope{f.Code, f.Message, hint, f.A2ACode}})
		return f.Exit
	}
	msg := fmt.Sprintf("errand: %s (%s)\n", clean(f.Message), clean(f.Code))
	if f.Hint != "" {
		msg += "hint: " + clean(f.Hint) + "\n"
	}
	_, _ = fmt.Fprint(r.errOut, msg)
	return f.Exit
}

// classify turns any error into what is shown for it.
func (r *run) classify(err error) *failure {
	var (
		f       *failure
		agent   *client.Error
		timeout *client.TimeoutError
		gone    *client.UnreachableError
		card    *client.CardError
		iface   *client.InterfaceError
	)
	out := &failure{Code: codeInternal, Message: err.Error(), Exit: exitFailure, Hint: "run it again with --debug to see what was exchanged"}
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &agent):
		return r.classifyAgent(agent)
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		out.Code, out.Exit, out.Hint = codeTimeout, exitTimeout, "wait longer with --timeout"
		out.Message = "timed out"
		if r.global.timeout > 0 {
			out.Message += " after " + r.global.timeout.String()
		}
		if task, _, state := r.seen.get(); task != "" && !client.Settled(state) {
			out.Message += " waiting for task " + task
			out.Hint = "the task goes on; follow it with: " + r.command("task subscribe", task, "--stream")
		}
	case errors.As(err, &gone):
		out.Code, out.Exit, out.Hint = codeUnreachable, exitUnreachable, r.reachHint()
	case errors.As(err, &card) && card.Invalid:
		out.Code, out.Hint = codeCardInvalid, "see what it holds with: curl, or with --debug"
	case errors.As(err, &card):
		out.Code, out.Exit, out.Hint = codeCardNotFound, exitUnreachable, "name the agent with --agent-card: a host, a card's URL, or a card's file"
	case errors.As(err, &iface) && iface.Version:
		out.Code, out.Hint = client.VersionNotSupported, "errand speaks A2A 1.x; ask the agent's operator for a 1.0 interface"
	case errors.As(err, &iface):
		out.Hint = "errand speaks JSONRPC and HTTP+JSON; see the agent's interfaces with: " + r.command("card get", "", "")
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		out.Message, out.Exit, out.Hint = "interrupted", exitInterrupted, ""
	}
	return out
}

func (r *run) reachHint() string {
	if task, _, state := r.seen.get(); task != "" && !client.Settled(state) {
		return "the task may go on; come back to it with: " + r.command("task subscribe", task, "--stream")
	}
	if r.global.agentCard == defaultAgent {
		return "start a local agent with: errand dev, or name another with --agent-card"
	}
	return "check the address, or look closer with: " + r.command("card get", "", "--debug")
}

func (r *run) classifyAgent(e *client.Error) *failure {
	out := &failure{Code: e.Name, Message: e.Message, A2ACode: e.Code, Exit: exitFailure, Hint: "run it again with --debug to see the protocol error"}
	if out.Message == "" {
		out.Message = "the agent reports " + e.Name
	}
	task, _, _ := r.seen.get()
	switch e.Name {
	case client.Authentication, client.Authorization:
		out.Code, out.Exit, out.Hint = codeAuthFailed, exitAuth, "the agent refused the credentials; check them"
		if r.global.bearer == "" && r.global.apiKey == "" && len(r.global.svcParams) == 0 {
			out.Code, out.Hint = codeCredentials, r.credentialHint()
		}
	case client.TaskNotFound:
		out.Hint = "list the tasks you can see with: " + r.command("task list", "", "") + "; see the protocol error with --debug"
	case client.TaskNotCancelable:
		out.Hint = "it is over already; see how it ended with: " + r.command("task get", task, "")
	case client.UnsupportedOperation:
		out.Hint = "if the task is over, start another in its context with --context-id; see the protocol error with --debug"
	case client.VersionNotSupported:
		out.Hint = "signal another version with --a2a-version, which is " + r.global.a2aVersion
	case client.ContentTypeNotSupported:
		out.Hint = "see what the agent takes with: " + r.command("card get", "", "")
	}
	return out
}

// credentialHint names the flag for what the card declares.
func (r *run) credentialHint() string {
	hint := "supply credentials with --bearer or --api-key, or in A2ACLI_BEARER or A2ACLI_API_KEY"
	if r.card == nil {
		return hint
	}
	for _, name := range slices.Sorted(maps.Keys(r.card.SecuritySchemes)) {
		switch r.card.SecuritySchemes[name].(type) {
		case a2a.APIKeySecurityScheme:
			return fmt.Sprintf("the agent takes an API key (scheme %s): set A2ACLI_API_KEY, or pass --api-key", name)
		case a2a.HTTPAuthSecurityScheme, a2a.OAuth2SecurityScheme, a2a.OpenIDConnectSecurityScheme:
			return fmt.Sprintf("the agent takes a bearer token (scheme %s): set A2ACLI_BEARER, or pass --bearer", name)
		}
	}
	return hint
}

// command is an errand command to copy: it names the agent again if this one did.
func (r *run) command(verb, task, rest string) string {
	words := []string{"errand", verb}
	if task != "" {
		words = append(words, shellQuote(task))
	}
	if rest != "" {
		words = append(words, rest)
	}
	if r.settings.source("agent-card") == sourceFlag {
		words = append(words, "-a", shellQuote(r.global.agentCard))
	}
	return strings.Join(words, " ")
}

// reply is the command that answers a task which waits.
func (r *run) reply(task string) string {
	agent := ""
	if r.settings.source("agent-card") == sourceFlag {
		agent = " -a " + shellQuote(r.global.agentCard)
	}
	return "errand send --task-id " + shellQuote(task) + agent + ` "..."`
}

func shellQuote(s string) string {
	plain := func(c rune) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("-_./:@%+=,", c)
	}
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !plain(c) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
