// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	lib "modernc.org/sqlite/lib"

	"github.com/errand-a2a/errand/internal/store/sqlstore"
)

// applicationID stands in the header of every store: "ERRD". Stores of before
// have none; they are known by their migrations.
const applicationID = 0x45525244

// Where the header of an SQLite file says what it is.
const (
	headerSize   = 100
	headerMagic  = "SQLite format 3\x00"
	headerNumber = 68 // application_id, big endian
)

// identify says why a file must not be taken for a store. It only reads, and
// makes nothing beside the file either: what belongs to somebody else is to be
// found as it was left.
func identify(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if link, e := os.Readlink(path); e == nil {
			return fmt.Errorf("it is a link to %s, which is not there", link)
		}
		return nil // it will be made
	}
	if err != nil {
		return err
	}
	header, err := readHeader(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	switch {
	case len(header) == 0:
		return nil // it was made, and nothing written yet
	case len(header) < headerSize || string(header[:len(headerMagic)]) != headerMagic:
		return errors.New("it is not a database of SQLite; nothing was changed")
	}
	if id := binary.BigEndian.Uint32(header[headerNumber:]); id != 0 && id != applicationID {
		return fmt.Errorf("it is the database of another application (application_id %#x); nothing was changed", id)
	}
	if hasLog(path) {
		return nil // only with its log it is whole; migrate looks again
	}
	c, err := look(path)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	return errors.Join(ours(c), c.Close())
}

func readHeader(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no file (%s)", info.Mode().Type())
	}
	header := make([]byte, headerSize)
	n, err := io.ReadFull(f, header)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return header[:n], err
}

// hasLog reports whether there is something beside the file that belongs to it.
func hasLog(path string) bool {
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + suffix); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

// look opens a file as one that nobody changes: so SQLite makes no file beside it.
func look(path string) (*conn, error) {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive of Windows
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: "immutable=1"}
	return openConnAs(uri.String(), lib.SQLITE_OPEN_READONLY|lib.SQLITE_OPEN_URI, "BEGIN", nil)
}

// ours says why the tables of a database without our number are not a store's:
// it must have none, or our first migration.
func ours(c *conn) error {
	var tables []string
	err := c.Query(&sqlstore.Statement{ID: -1, SQL: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name LIMIT 3"}, nil,
		func(x sqlstore.Row) error { tables = append(tables, x.Text(0)); return nil })
	if err != nil {
		return fmt.Errorf("look at its tables: %w; nothing was changed", err)
	}
	if len(tables) == 0 {
		return nil
	}
	if first, err := c.first("SELECT 1 FROM migrations WHERE version = 1 AND name = '0001_tasks.sql'"); err == nil && first != nil {
		return nil
	}
	return fmt.Errorf("it is the database of another application (with the tables %s); nothing was changed", strings.Join(tables, ", "))
}

// claimIdentity writes our number into a store that has none.
func claimIdentity(c *conn) error {
	got, err := c.pragma("application_id")
	if err == nil && got[0] != fmt.Sprint(applicationID) {
		_, err = c.pragma(fmt.Sprintf("application_id = %d", applicationID))
	}
	if err != nil {
		return fmt.Errorf("mark the file as a store: %w", err)
	}
	return nil
}
