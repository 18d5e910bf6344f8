// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/errand-a2a/errand/internal/store"
	"github.com/errand-a2a/errand/internal/store/sqlite"
	"github.com/errand-a2a/errand/internal/task"
)

func (m message) params(to string, atOnce bool) map[string]any {
	msg := map[string]any{"messageId": m.ID, "role": "ROLE_USER", "parts": []any{map[string]any{"text": m.Text}}}
	if to != "" {
		msg["taskId"] = to
	}
	return map[string]any{"message": msg, "configuration": map[string]any{"returnImmediately": atOnce}}
}

func (m message) header() http.Header {
	if m.Key == "" {
		return nil
	}
	return http.Header{"Idempotency-Key": {m.Key}}
}

// idOf is the id of the task that an answer or an event is about.
func idOf(res map[string]any) string {
	for kind, field := range map[string]string{"task": "id", "statusUpdate": "taskId", "artifactUpdate": "taskId"} {
		if t, ok := res[kind].(map[string]any); ok {
			id, _ := t[field].(string)
			return id
		}
	}
	return ""
}

// keep packs what is left into the fixture's folder.
func (w *writer) keep(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	told, err := json.Marshal(w.golden)
	if err != nil {
		return err
	}
	files := map[string][]byte{"golden.json": told}
	for _, name := range []string{"errand.db", "errand.db-wal"} {
		if files[name], err = os.ReadFile(filepath.Join(from, name)); err != nil {
			return err
		}
	}
	for name, b := range files {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(b); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name+".gz"), packed.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// verify sees that the program was killed at the right moment: while something
// waited for its next attempt, and something for its first.
func (w *writer) verify(path string) error {
	s, err := sqlite.Open(w.ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	retryable := 0
	for name, id := range w.Open {
		turns, err := s.Turns(w.ctx, task.Ref{ID: id}, 0, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		switch first := turns[0]; {
		case first.Item == store.Retryable:
			retryable++
		case strings.HasPrefix(name, "waiting") && first.Attempt != 0:
			return fmt.Errorf("%s did not wait: write the fixture again", name)
		case first.Item == store.Completed && !strings.HasPrefix(name, "failing"):
			return fmt.Errorf("%s was over too early: write the fixture again", name)
		}
	}
	if retryable == 0 {
		return errors.New("nothing waited for its next attempt: write the fixture again")
	}
	return nil
}
