// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/errand-a2a/errand/internal/node"
	"github.com/errand-a2a/errand/internal/store/memory"
	"github.com/errand-a2a/errand/internal/store/sqlite"
)

// openStore opens what a store URL names.
func openStore(ctx context.Context, url string, log *slog.Logger) (node.Store, error) {
	driver, where, _ := strings.Cut(url, ":")
	switch {
	case driver == "memory" && where == "":
		return memory.New(memory.Options{}), nil
	case driver == "sqlite" && where != "":
		st, err := sqlite.Open(ctx, where, sqlite.Options{Logger: log})
		if err != nil {
			return nil, &Refused{Message: err.Error(), Cause: err, Hint: "give each server a file of its own with --store sqlite:FILE"}
		}
		return st, nil
	}
	return nil, &Refused{Usage: true, Message: fmt.Sprintf("--store %q: want sqlite:FILE or memory:", url), Hint: "errand dev --store sqlite:errand.db"}
}
