// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// Check lets SQLite look through a whole file and returns what it finds wrong
// with it. It reads only. It is for a file that no process has open; of one that
// is open it sees a moment.
func Check(path string) (err error) {
	c, err := openConn(path, "BEGIN", append(everywhere(), "query_only = ON"))
	if err != nil {
		return fmt.Errorf("check the file %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var found []error
	look := &sqlstore.Statement{ID: -1, SQL: "PRAGMA integrity_check"}
	err = c.Query(look, nil, func(r sqlstore.Row) error {
		if text := r.Text(0); text != "ok" {
			found = append(found, errors.New(text))
		}
		return nil
	})
	if err = errors.Join(append(found, err)...); err != nil {
		return fmt.Errorf("check the file %s: %w", path, err)
	}
	return nil
}
