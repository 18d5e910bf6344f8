// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
)

// maxInline bounds a file or standard input that goes into a message.
const maxInline = 32 << 20

// partFlags are the parts of a message in the order of their flags.
type partFlags struct{ parts []*partFlag }

type partFlag struct{ kind, value, mediaType string }

// partValue is the flag of one kind of part. Its Set appends.
type partValue struct {
	kind, typ string
	list      *partFlags
}

func (v partValue) String() string { return "" }
func (v partValue) Type() string   { return v.typ }

func (v partValue) Set(s string) error {
	if v.kind != "media-type" {
		v.list.parts = append(v.list.parts, &partFlag{kind: v.kind, value: s})
		return nil
	}
	if len(v.list.parts) == 0 {
		return errors.New("it belongs behind the --text, --file or --data whose type it gives")
	}
	if _, _, err := mime.ParseMediaType(s); err != nil {
		return fmt.Errorf("it is no media type: %w", err)
	}
	v.list.parts[len(v.list.parts)-1].mediaType = s
	return nil
}

// build reads what the flags name and makes the parts.
func (f *partFlags) build(stdin io.Reader) ([]*a2a.Part, error) {
	var out []*a2a.Part
	for _, p := range f.parts {
		part, err := p.build(stdin)
		if err != nil {
			return nil, usage(err.Error(), "")
		}
		out = append(out, part)
	}
	return out, nil
}

func (p *partFlag) build(stdin io.Reader) (*a2a.Part, error) {
	switch p.kind {
	case "file":
		return p.file()
	case "data":
		return p.data(stdin)
	}
	part := a2a.NewTextPart(p.value)
	part.MediaType = p.mediaType
	return part, nil
}

// file inlines a local file and passes a URL on: the agent fetches that.
func (p *partFlag) file() (*a2a.Part, error) {
	if strings.Contains(p.value, "://") {
		return a2a.NewFileURLPart(a2a.URL(p.value), p.mediaType), nil
	}
	f, err := os.Open(p.value)
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := readInline(f, p.value)
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	part := a2a.NewRawPart(content)
	part.Filename, part.MediaType = filepath.Base(p.value), p.mediaType
	if part.MediaType == "" {
		part.MediaType = mime.TypeByExtension(filepath.Ext(p.value))
	}
	if part.MediaType == "" {
		part.MediaType = http.DetectContentType(content)
	}
	return part, nil
}

func (p *partFlag) data(stdin io.Reader) (*a2a.Part, error) {
	src := stdin
	if p.value != "-" {
		f, err := os.Open(p.value)
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		defer func() { _ = f.Close() }()
		src = f
	}
	content, err := readInline(src, p.value)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	content = bytes.TrimSpace(content)
	if !json.Valid(content) {
		return nil, fmt.Errorf("--data: %s holds no JSON document", p.value)
	}
	// RawMessage keeps large numbers as they were written.
	part := a2a.NewDataPart(json.RawMessage(content))
	part.MediaType = p.mediaType
	if part.MediaType == "" {
		part.MediaType = "application/json"
	}
	return part, nil
}

func readInline(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInline+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > maxInline {
		return nil, fmt.Errorf("%s is larger than %d bytes; pass a URL that the agent can fetch", name, maxInline)
	}
	return b, nil
}

// parseMetadata reads a JSON object and keeps its numbers as written.
func parseMetadata(s string) (map[string]any, error) {
	if s == "" {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil || m == nil {
		return nil, usage("--metadata is no JSON object", `--metadata '{"key":"value"}'`)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, usage("--metadata holds more than one JSON object", "")
	}
	return m, nil
}
