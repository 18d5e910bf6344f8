// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Program is the errand command.
type Program struct {
	// Version is printed by --version; "" reads it from the build.
	Version string
}

// Run runs one invocation and returns its exit status. args does not hold the
// program's name; env is in the form of os.Environ. When ctx is cancelled a
// command that waits for a task leaves the task to itself and says how to come
// back to it.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	r := &run{prog: p, in: stdin, out: stdout, errOut: &lockedWriter{w: stderr}, settings: newSettings(env)}
	defer r.close()
	root := r.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(r.errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !r.started {
		// Whatever fails before a command runs is the way it was called.
		if f := (*failure)(nil); !errors.As(err, &f) {
			err = usage(err.Error(), "errand --help")
		}
		r.global.output = r.outputAsked(args)
	}
	return r.report(err)
}

func (p Program) version() string {
	if p.Version != "" {
		return p.Version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(info.Main.Version, "(devel)")
	}
	return "(unknown)"
}

// outputAsked finds the format for an error that kept the flags from being parsed.
func (r *run) outputAsked(args []string) string {
	out, _, _ := r.settings.lookup("output")
	for i, a := range args {
		switch {
		case a == "--":
			return out
		case (a == "-o" || a == "--output") && i+1 < len(args):
			out = args[i+1]
		case strings.HasPrefix(a, "--output="):
			out = strings.TrimPrefix(a, "--output=")
		case strings.HasPrefix(a, "-o") && !strings.HasPrefix(a, "--"):
			out = strings.TrimPrefix(strings.TrimPrefix(a, "-o"), "=")
		}
	}
	return out
}

const rootLong = `errand talks to A2A agents and runs durable ones.

Every flag can also be set by an environment variable, A2ACLI_ and the flag's
name in upper snake case (A2ACLI_AGENT_CARD), or by such a line in a .env file:
the one that --config names or else the nearest in this directory and those
above it, and ~/.config/a2a-cli/.env. A flag wins over the environment, the
environment over files. --stream is a flag only.

Credentials on the command line can be seen in the process table and in the
shell's history; A2ACLI_BEARER and A2ACLI_API_KEY cannot.

Exit status: 0 the command did its job, whatever the agent decided; 1 failure;
2 usage; 3 agent or card unreachable; 4 authentication; 5 timeout.`

func (r *run) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "errand",
		Short:         "Talk to A2A agents and run durable ones",
		Long:          rootLong,
		Version:       r.prog.version(),
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: r.prepare,
		Args:              noCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Example: `  errand send "hello"
  errand send --stream -a https://agent.example "count to 10"
  errand task get --wait TASK`,
	}
	root.SetVersionTemplate("errand {{.Version}}\n")
	r.addGlobalFlags(root.PersistentFlags())
	root.AddCommand(
		r.sendCommand(),
		group("task", "Work with tasks", r.taskGetCommand(), r.taskListCommand(), r.taskCancelCommand(), r.taskSubscribeCommand()),
		group("card", "Work with agent cards", r.cardGetCommand()),
		group("config", "Inspect the configuration", r.configShowCommand()),
		r.devCommand(), r.versionCommand(),
	)
	return root
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(subs...)
	return c
}

// noCommand refuses words where a command's name was meant.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := "unknown command " + quote(args[0]) + " for " + quote(cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		msg += "; did you mean " + strings.Join(s, ", ") + "?"
	}
	return usage(msg, cmd.CommandPath()+" --help")
}

func (r *run) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			t := r.text()
			t.field("Version", r.prog.version())
			t.field("A2A", a2aVersion)
			return r.write(t)
		},
	}
}
