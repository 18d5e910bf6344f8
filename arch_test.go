// SPDX-License-Identifier: Apache-2.0

package errand_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/errand-a2a/errand"

// arrows says which room may import which: the only map of the house that cannot go stale. An import between two rooms
// that stands in no line fails TestArrows; to add an arrow, write an ADR and change the line here.
//
// A room under internal/ goes by its name there, the module's root is "root", any other package goes by its path with ./
// before it. {a,b} is a choice, x/* is every room right under x. A package that no line names belongs to the room it lies
// in, unless that room has named children: then it needs a line of its own. Several lines about one room add up.
const arrows = `
task config sse netguard bus telemetry  -> nothing
record                                  -> task
store live agent auth                   -> task
store live                              -> record

store/{memory,sqlstore,storetest}       -> store task record
store/{sqlite,postgres,mysql}           -> store/sqlstore store task record
bus/*                                   -> bus
client                                  -> netguard sse task
agent/{demo,command}                    -> agent task
agent/openai                            -> agent netguard sse task
agent/upstream                          -> agent client netguard task

engine worker                           -> agent live store bus record task
push                                    -> store netguard record task
admin                                   -> store task
binding                                 -> task auth
binding/{jsonrpc,rest,grpc}             -> binding engine auth record sse task
binding/sdk                             -> engine task
binding/v03                             -> binding binding/sdk engine sse task
dispatch                                -> engine client task
mcp                                     -> dispatch client task
console                                 -> admin engine auth sse task
server                                  -> binding binding/* admin console mcp auth task

# all above but config, network drivers and agent/*
node -> task sse netguard bus record store live agent auth store/{memory,sqlstore,sqlite} bus/local client
node -> engine worker push admin binding binding/* dispatch mcp console server

root ./queue                            -> node agent auth store bus store/{sqlite,memory} task
./postgres                              -> store bus store/postgres bus/pgnotify
./mysql                                 -> store bus store/mysql
./nats                                  -> store bus bus/nats
./dispatch                              -> root dispatch
./errandtest ./examples                 -> root

# every driver, every agent/*
app -> node agent auth netguard config store/{memory,sqlite,postgres,mysql} bus/{local,pgnotify,nats} agent/*
cli                                     -> app client mcp config netguard task
./cmd/errand                            -> cli

# node and everything below it
prove -> node task sse netguard bus record store live agent auth store/* bus/* client agent/*
prove -> engine worker push admin binding binding/* dispatch mcp console server

# never shipped
./bench ./hack ./interop                -> anything
`

// pureRooms are all that may not import telemetry, and the only rule about who may.
var pureRooms = []string{"task", "record", "sse", "config"}

// proveUsers are the rooms beside _test files that may import prove.
var proveUsers = []string{"./bench", "./hack"}

const sdk = "github.com/a2aproject/a2a-go/v2"

// thirdParty says which rooms may import a library, by the prefix of its import path. What no line names is free. The
// longest matching prefix decides.
var thirdParty = []struct{ prefix, rooms string }{
	{"modernc.org/", "store/sqlite"},
	{"github.com/jackc/pgx", "store/postgres bus/pgnotify ./postgres"}, // the public room may name the driver's types
	{"github.com/go-sql-driver/mysql", "store/mysql ./mysql"},
	{"github.com/nats-io/", "bus/nats ./nats"},
	{"go.opentelemetry.io/", "telemetry"},
	{"go.opentelemetry.io/otel", "telemetry root ./queue"}, // the API; the SDK and the exporters are telemetry's alone
	{"go.opentelemetry.io/otel/sdk", "telemetry"},
	{"go.opentelemetry.io/otel/exporters", "telemetry"},
	{"github.com/spf13/", "cli"},
	{sdk + "/a2asrv", "agent agent/* worker binding/{sdk,v03} node root ./errandtest ./examples"},
	{sdk + "/a2apb", "binding/{grpc,v03} client node"},
	{sdk + "/a2agrpc", "binding/{grpc,v03} client node"},
	{"google.golang.org/", "binding/{grpc,v03} client node"}, // protobuf, and gRPC, which brings it
	// What only tests need must not end in the binaries of those who import us.
	{"testing", "prove store/storetest bus/bustest ./errandtest"},
	{"github.com/google/go-cmp", "prove store/storetest bus/bustest ./errandtest"},
	{"github.com/rogpeppe/go-internal", "prove"},
	{"go.uber.org/goleak", "prove store/storetest bus/bustest ./errandtest"},
	{"pgregory.net/rapid", "prove store/storetest bus/bustest ./errandtest"},
}

func TestArrows(t *testing.T) {
	files, err := readImports(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 {
		t.Fatalf("read %d Go files: the test does not see the tree", len(files))
	}
	for _, v := range mustParseArrows(t, arrows).check(files) {
		t.Error(v)
	}
}

// goFile is what the checker knows of a file: its path with slashes, relative to the module, and what it imports.
type goFile struct {
	path    string
	imports []string
}

func readImports(root string) ([]goFile, error) {
	var files []goFile
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || name == "vendor" || name == "dist" || name == "bin" ||
				p != root && strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		file := goFile{path: filepath.ToSlash(rel)}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			file.imports = append(file.imports, imported)
		}
		files = append(files, file)
		return nil
	})
	return files, err
}

// arrowTable is the parsed table: what each pattern on the left of an arrow may import.
type arrowTable map[string][]string

func parseArrows(text string) (arrowTable, error) {
	table := arrowTable{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		from, to, ok := strings.Cut(line, "->")
		if !ok || strings.TrimSpace(from) == "" || strings.TrimSpace(to) == "" {
			return nil, fmt.Errorf("arrow table: %q is not of the form ROOMS -> ROOMS", line)
		}
		for _, room := range expand(from) {
			table[room] = append(table[room], expand(to)...)
		}
	}
	return table, nil
}

// expand splits a list of rooms and resolves its {a,b} choices.
func expand(list string) []string {
	var rooms []string
	for _, field := range strings.Fields(list) {
		before, rest, ok := strings.Cut(field, "{")
		if !ok {
			rooms = append(rooms, field)
			continue
		}
		choices, after, _ := strings.Cut(rest, "}")
		for _, choice := range strings.Split(choices, ",") {
			rooms = append(rooms, before+choice+after)
		}
	}
	return rooms
}

// packageName turns a directory of the module into the name that the table uses.
func packageName(dir string) string {
	if rest, ok := strings.CutPrefix(dir, "internal/"); ok {
		return rest
	}
	if dir == "." || dir == "" {
		return "root"
	}
	return "./" + dir
}

// room finds the room of a package: itself, when a line names it, or the nearest directory above it that a line names.
func (t arrowTable) room(pkg string) (name string, may []string, ok bool) {
	for p := pkg; p != "." && p != "/"; p = parent(p) {
		may, ok := t[p]
		if !ok {
			may, ok = t[parent(p)+"/*"]
		}
		if ok {
			return p, may, p == pkg || !t.hasChildren(p)
		}
	}
	return "", nil, false
}

func (t arrowTable) hasChildren(room string) bool {
	for other := range t {
		if strings.HasPrefix(other, room+"/") {
			return true
		}
	}
	return false
}

// parent is path.Dir for names that may start with "./", which path.Dir would clean away.
func parent(pkg string) string {
	if rest, ok := strings.CutPrefix(pkg, "./"); ok {
		if dir := path.Dir(rest); dir != "." {
			return "./" + dir
		}
		return "."
	}
	return path.Dir(pkg)
}

// matches tells whether one of the patterns names the room.
func matches(patterns []string, room string) bool {
	return slices.Contains(patterns, room) || slices.Contains(patterns, parent(room)+"/*")
}

// check returns one sentence for each import that breaks a rule, naming file, import and rule. Tests may import what
// they like.
func (t arrowTable) check(files []goFile) []string {
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file.path, "_test.go") {
			continue
		}
		from, may, ok := t.room(packageName(path.Dir(file.path)))
		if !ok {
			found = append(found, fmt.Sprintf("%s: its package is no room of the arrow table: give it a line there", file.path))
			continue
		}
		for _, imported := range file.imports {
			rule := ""
			if rest, ours := strings.CutPrefix(imported, modulePath); ours && (rest == "" || rest[0] == '/') {
				rule = t.brokenArrow(from, may, packageName(strings.TrimPrefix(rest, "/")))
			} else {
				rule = brokenThirdParty(from, imported)
			}
			if rule != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", file.path, imported, rule))
			}
		}
	}
	return found
}

// brokenArrow names the rule that an import inside the module breaks, or returns "".
func (t arrowTable) brokenArrow(from string, may []string, pkg string) string {
	to, _, ok := t.room(pkg)
	switch {
	case !ok:
		return fmt.Sprintf("%s is no room of the arrow table: give it a line there", pkg)
	case from == to:
		return ""
	case strings.HasSuffix(to, "test"):
		return "a *test package is imported by _test files only"
	case to == "prove" && !slices.Contains(proveUsers, from):
		return "prove is imported by tests, bench and hack only"
	case to == "telemetry" && slices.Contains(pureRooms, from):
		return "the pure rooms do not import telemetry"
	case to == "telemetry", slices.Contains(may, "anything"), matches(may, to):
		return ""
	}
	return fmt.Sprintf("the arrow table allows only: %s -> %s", from, strings.Join(may, " "))
}

// brokenThirdParty names the rule that an import from outside breaks, or returns "". bench, hack and interop are never shipped.
func brokenThirdParty(from, imported string) string {
	if from == "./bench" || from == "./hack" || from == "./interop" {
		return ""
	}
	prefix, rooms := "", ""
	for _, rule := range thirdParty {
		if len(rule.prefix) > len(prefix) && underPath(imported, rule.prefix) {
			prefix, rooms = rule.prefix, rule.rooms
		}
	}
	if prefix == "" || matches(expand(rooms), from) {
		return ""
	}
	return fmt.Sprintf("%s is for %s only", prefix, rooms)
}

func underPath(imported, prefix string) bool {
	rest, ok := strings.CutPrefix(imported, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

func mustParseArrows(t *testing.T, text string) arrowTable {
	t.Helper()
	table, err := parseArrows(text)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// The checker itself: what it refuses, what it lets through, and that it can tell the two apart.

func TestArrowChecker(t *testing.T) {
	ours := func(dir string) string { return path.Join(modulePath, dir) }
	tests := []struct {
		name, file, imports string
		want                string // a part of the complaint; "" when the import is allowed
	}{
		{"an arrow of the table", "internal/record/x.go", ours("internal/task"), ""},
		{"an arrow upwards", "internal/task/x.go", ours("internal/record"), "task -> nothing"},
		{"two rooms that never meet", "internal/engine/x.go", ours("internal/worker"), "engine -> agent"},
		{"a driver that reaches into another", "internal/store/sqlite/x.go", ours("internal/store/memory"), "store/sqlite -> store/sqlstore"},
		{"a room that several lines name", "internal/store/x.go", ours("internal/record"), ""},
		{"a child of a wildcard", "internal/bus/local/x.go", ours("internal/bus"), ""},
		{"two children of a wildcard", "internal/bus/local/x.go", ours("internal/bus/nats"), "bus/local -> bus"},
		{"every child, by a wildcard on the right", "internal/app/x.go", ours("internal/agent/demo"), ""},
		{"the node does not choose agents", "internal/node/x.go", ours("internal/agent/demo"), "node -> "},
		{"the node does not choose a network driver", "internal/node/x.go", ours("internal/store/postgres"), "node -> "},
		{"a package inside a room", "internal/console/page/x.go", ours("internal/admin"), ""},
		{"a room and its inner package", "internal/console/x.go", ours("internal/console/page"), ""},
		{"a new child of a room with named children", "internal/store/cockroach/x.go", "fmt", "no room of the arrow table"},
		{"the import of such a child", "internal/engine/x.go", ours("internal/agent/magic"), "no room of the arrow table"},
		{"a new room", "internal/attic/x.go", "fmt", "no room of the arrow table"},
		{"the root", "errand.go", ours("internal/node"), ""},
		{"the root does not see the engine", "errand.go", ours("internal/engine"), "root -> node"},
		{"an example uses the root", "examples/durable/main.go", ours(""), ""},
		{"an example does not see inside", "examples/durable/main.go", ours("internal/node"), "./examples -> root"},
		{"public and inner dispatch are two rooms", "dispatch/x.go", ours("internal/dispatch"), ""},
		{"inner dispatch does not see the root", "internal/dispatch/x.go", ours(""), "dispatch -> engine"},
		{"main is only the command line", "cmd/errand/main.go", ours("internal/app"), "./cmd/errand -> cli"},

		{"telemetry is for all", "internal/netguard/x.go", ours("internal/telemetry"), ""},
		{"but for the pure rooms", "internal/sse/x.go", ours("internal/telemetry"), "pure rooms"},
		{"a conformance suite in what is shipped", "internal/store/sqlite/x.go", ours("internal/store/storetest"), "_test files only"},
		{"a conformance suite in a test", "internal/store/sqlite/x_test.go", ours("internal/store/storetest"), ""},
		{"prove in what is shipped", "internal/cli/x.go", ours("internal/prove"), "tests, bench and hack only"},
		{"prove in a benchmark", "bench/main.go", ours("internal/prove"), ""},
		{"a command of prove", "internal/prove/cmd/torture/main.go", ours("internal/prove"), ""},

		{"the SQLite driver at home", "internal/store/sqlite/x.go", "modernc.org/sqlite", ""},
		{"the SQLite driver elsewhere", "internal/store/sqlstore/x.go", "modernc.org/sqlite/lib", "store/sqlite only"},
		{"pgx elsewhere", "internal/engine/x.go", "github.com/jackc/pgx/v5/pgxpool", "bus/pgnotify"},
		{"OTel's API in the root", "options.go", "go.opentelemetry.io/otel/trace", ""},
		{"OTel's SDK in the root", "options.go", "go.opentelemetry.io/otel/sdk/metric", "telemetry only"},
		{"cobra elsewhere", "cmd/errand/main.go", "github.com/spf13/cobra", "cli only"},
		{"the SDK's types anywhere", "internal/task/x.go", sdk + "/a2a", ""},
		{"the SDK's server in the engine", "internal/engine/x.go", sdk + "/a2asrv/eventqueue", "binding/{sdk,v03}"},
		{"the SDK's server in an agent", "internal/agent/demo/x.go", sdk + "/a2asrv", ""},
		{"protobuf elsewhere", "internal/record/x.go", "google.golang.org/protobuf/proto", "binding/{grpc,v03}"},
		{"the SDK's server in a benchmark", "bench/main.go", sdk + "/a2asrv", ""},
		{"a test library in what is shipped", "internal/task/x.go", "pgregory.net/rapid", "store/storetest"},
		{"a path that only starts alike", "internal/task/x.go", "testing2/x", ""},
	}
	table := mustParseArrows(t, arrows)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := table.check([]goFile{{path: tt.file, imports: []string{tt.imports}}})
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("refused: %s", got)
			case tt.want != "" && len(got) != 1:
				t.Errorf("got %q, want one complaint", got)
			case tt.want != "" && (!strings.Contains(got[0], tt.want) || !strings.HasPrefix(got[0], tt.file)):
				t.Errorf("got %q, want it to begin with %q and to contain %q", got[0], tt.file, tt.want)
			}
		})
	}
}

func TestArrowTableIsReadStrictly(t *testing.T) {
	for _, text := range []string{"task record", "-> task", "task ->"} {
		if _, err := parseArrows(text); err == nil {
			t.Errorf("parseArrows(%q) accepted a line that is no arrow", text)
		}
	}
}

// No room reaches itself, so the arrows of the table point down.
func TestArrowTableHasNoCircle(t *testing.T) {
	table := mustParseArrows(t, arrows)
	state := map[string]int{} // 1: on the way down, 2: done
	var visit func(room string, way []string)
	visit = func(room string, way []string) {
		if state[room] == 1 {
			t.Fatalf("circle: %s", strings.Join(append(way, room), " -> "))
		}
		if state[room] == 2 {
			return
		}
		state[room] = 1
		for next := range table {
			if _, may, _ := table.room(room); next != room && !slices.Contains(may, "anything") && matches(may, next) {
				visit(next, append(way, room))
			}
		}
		state[room] = 2
	}
	for room := range table {
		visit(room, nil)
	}
}
