// SPDX-License-Identifier: Apache-2.0

package format

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// major is the version of the format that is understood.
const major = "1."

// Load reads every .yaml file of a directory. Where one of them includes
// others, it must include all of them, and the tests come in that order.
func Load(dir fs.FS, known Known) (*Suite, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the files: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no .yaml file")
	}
	l := &loader{faults: &faults{}, known: known, ids: map[string]string{}}
	docs := map[string]*document{}
	var master *document
	for _, name := range names {
		doc := l.document(dir, name)
		docs[name] = doc
		if len(doc.include) == 0 {
			continue
		}
		if master != nil {
			l.add(name, "include: %s includes files as well", master.name)
		}
		master = doc
	}
	suite := &Suite{}
	for _, name := range l.order(master, docs, names) {
		doc := docs[name]
		for _, t := range doc.tests {
			t.Variables = variables(master, doc)
		}
		suite.Tests = append(suite.Tests, doc.tests...)
		if suite.SpecVersion != "" && doc.specVersion != suite.SpecVersion {
			l.add(name, "spec_version %q, where others have %q", doc.specVersion, suite.SpecVersion)
		}
		suite.SpecVersion = doc.specVersion
	}
	return suite, l.err()
}

// order is that of the master file, which must name every other file.
func (l *loader) order(master *document, docs map[string]*document, names []string) []string {
	if master == nil {
		return names
	}
	ordered := append([]string{master.name}, master.include...)
	for _, name := range names {
		if !slices.Contains(ordered, name) {
			l.add(master.name, "include: %s lies beside it and is not included", name)
		}
	}
	return slices.DeleteFunc(ordered, func(name string) bool {
		_, ok := docs[name]
		if !ok {
			l.add(master.name, "include: there is no file %s", name)
		}
		return !ok
	})
}

func variables(master, doc *document) map[string]string {
	out := map[string]string{}
	if master != nil {
		maps.Copy(out, master.variables)
	}
	maps.Copy(out, doc.variables)
	return out
}

type loader struct {
	*faults
	known Known
	ids   map[string]string // of tests, to the file they stand in
}

type document struct {
	name, specVersion string
	variables         map[string]string
	include           []string
	tests             []*Test
}

func (l *loader) document(dir fs.FS, name string) *document {
	doc := &document{name: name}
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		l.add(name, "%w", err)
		return doc
	}
	var root any
	if err := yaml.Unmarshal(data, &root); err != nil {
		l.add(name, "%w", err)
		return doc
	}
	o := l.object(name, root)
	if v := o.needText("acts_version"); v != "" && !strings.HasPrefix(v, major) {
		l.add(name, "acts_version %q: only %sx is understood", v, major)
	}
	doc.specVersion = o.needText("spec_version")
	o.text("spec_ref")
	if v, ok := o.get("metadata"); ok {
		meta := l.object(o.path("metadata"), v)
		meta.text("title")
		meta.text("description")
		meta.texts("authors")
		meta.text("license")
		meta.done()
	}
	doc.variables, _ = o.textMap("variables")
	for _, file := range o.texts("include") {
		doc.include = append(doc.include, filepath.ToSlash(filepath.Clean(file)))
	}
	suites := o.list("suites")
	if len(suites) == 0 && len(doc.include) == 0 {
		l.add(name, "has neither suites nor include")
	}
	for i, s := range suites {
		doc.tests = append(doc.tests, l.suite(name, i, s)...)
	}
	o.done()
	return doc
}

func (l *loader) suite(file string, i int, v any) []*Test {
	o := l.object(fmt.Sprintf("%s: suites[%d]", file, i), v)
	o.needText("id")
	o.needText("name")
	o.text("description")
	tags := o.texts("tags")
	var tests []*Test
	for i, v := range o.list("tests") {
		t := l.test(file, i, v)
		t.Tags = append(t.Tags, tags...)
		tests = append(tests, t)
	}
	if len(tests) == 0 {
		l.add(o.where, "has no tests")
	}
	o.done()
	return tests
}

func (l *loader) test(file string, i int, v any) *Test {
	o := l.object(fmt.Sprintf("%s: tests[%d]", file, i), v)
	t := &Test{File: file, ID: o.needText("id")}
	if t.ID != "" {
		o.where = file + ": " + t.ID
	}
	if other, twice := l.ids[t.ID]; twice {
		l.add(o.where, "the id stands in %s already", other)
	}
	l.ids[t.ID] = file
	t.Name = o.needText("name")
	o.text("description")
	o.text("spec_ref")
	o.text("origin")
	o.need("level")
	t.Level = o.choice("level", "must", "should", "may")
	t.Tags = o.texts("tags")
	t.Transport = l.transports(o, "transport")
	for _, b := range o.texts("requires_behaviors") {
		if !slices.Contains(l.known.Behaviors, b) {
			l.add(o.where, "requires_behaviors: the test agent does not know %q", b)
		}
	}
	if _, ok := o.get("runner_requirements"); ok {
		l.add(o.where, "runner_requirements are not understood here")
	}
	l.preconditions(o, &t.Preconditions)
	l.steps(o, t)
	t.Assertions = l.named(o, "assertions", t.stepIDs())
	o.done()
	return t
}

func (t *Test) stepIDs() (ids []string) {
	for _, s := range t.Steps {
		ids = append(ids, s.ID)
	}
	return ids
}

func (l *loader) transports(o *object, key string) []string {
	list := o.texts(key)
	for _, s := range list {
		if !slices.Contains([]string{"jsonrpc", "grpc", "rest"}, s) {
			l.add(o.where, "%s: there is no binding %q", key, s)
		}
	}
	return list
}

func (l *loader) preconditions(o *object, p *Preconditions) {
	v, ok := o.get("preconditions")
	if !ok {
		return
	}
	in := l.object(o.path("preconditions"), v)
	p.Capabilities = in.anyMap("capabilities")
	p.Transport = l.transports(in, "transport")
	p.Extensions = in.texts("extensions")
	in.text("description")
	for i, v := range in.list("skills") {
		skill := l.object(fmt.Sprintf("%s: skills[%d]", in.where, i), v)
		p.Skills = append(p.Skills, skill.needText("id"))
		skill.done()
	}
	in.done()
}

func (l *loader) steps(o *object, t *Test) {
	steps := o.list("steps")
	if len(steps) == 0 {
		l.add(o.where, "has no steps")
	}
	rawOnly := len(steps) > 0
	for i, v := range steps {
		s := l.step(fmt.Sprintf("%s: steps[%d]", o.where, i), v, t.stepIDs())
		t.Steps = append(t.Steps, s)
		rawOnly = rawOnly && s.Raw != nil
	}
	if rawOnly && len(t.Transport) == 0 {
		l.add(o.where, "has raw steps only and does not say of which transport")
	}
}
