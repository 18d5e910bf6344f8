// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/errand-a2a/errand/internal/app"
)

func (r *run) devCommand() *cobra.Command {
	d := app.Dev{Version: r.prog.version()}
	c := &cobra.Command{
		Use: "dev", Short: "Run a local server with the demo agent", Args: noArguments,
		Long: "Run a local server with the demo agent. The first word of a message decides what the agent does:\n" +
			"count to N [every D], sleep D, ask [question], auth, fail, reject, flaky N, crash, hang, message, file, data;\n" +
			"anything else is echoed. There is no authentication, so the address must be of this machine alone.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Log = slog.New(slog.NewTextHandler(r.errOut, &slog.HandlerOptions{Level: r.devLevel()}))
			return devFailure(d.Run(cmd.Context(), r.out))
		},
	}
	c.Flags().StringVar(&d.Listen, "listen", "127.0.0.1:8080", "loopback address to listen on; port 0 takes a free one")
	c.Flags().StringVar(&d.ListenGRPC, "grpc-listen", "", "loopback address for gRPC alone, which --listen serves too; port 0 takes a free one")
	c.Flags().StringVar(&d.Store, "store", "sqlite:errand.db", "where tasks are kept: sqlite:FILE or memory:")
	c.Flags().StringArrayVar(&d.Origins, "cors-origin", nil, "origin whose pages may call the server from a browser, as in http://localhost:3000; repeat for more")
	c.Flags().Var((*limit)(&d.MaxAttempts), "max-attempts", "how many attempts may fail before a message is given up: a number or unlimited")
	c.Flags().Var((*limit)(&d.MaxLosses), "max-losses", "how many times the server may die under a message before it is given up: a number or unlimited")
	return c
}

func (r *run) devLevel() slog.Level {
	if r.global.debug {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// devFailure shows what the server says about how it was started.
func devFailure(err error) error {
	var refused *app.Refused
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Usage:
		return usage(refused.Message, refused.Hint)
	case errors.As(err, &refused):
		return &failure{Code: codeInternal, Message: refused.Message, Hint: refused.Hint, Exit: exitFailure}
	}
	return &failure{Code: codeInternal, Message: err.Error(), Exit: exitFailure}
}

// limit is a flag that is a number of at least one or "unlimited".
type limit int

func (l *limit) String() string {
	switch *l {
	case 0:
		return "default"
	case limit(app.Unlimited):
		return "unlimited"
	}
	return strconv.Itoa(int(*l))
}

func (l *limit) Set(s string) error {
	if s == "unlimited" {
		*l = limit(app.Unlimited)
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf("%q: want a number of at least 1, or unlimited", s)
	}
	*l = limit(n)
	return nil
}

func (*limit) Type() string { return "limit" }
