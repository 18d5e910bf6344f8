// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"strconv"
	"strings"
)

// Statement is one SQL text. A connection prepares it when it is first used and
// keeps it under its ID.
type Statement struct {
	ID  int
	SQL string
}

// Dialect is where the databases differ. The texts are written with "?".
type Dialect struct {
	// Numbered makes placeholders $1, $2, … instead of "?".
	Numbered bool
	// Ignore ends an INSERT that must not fail on an existing key.
	Ignore string
	// Replace ends an INSERT that overwrites the columns of an existing key.
	Replace func(key, columns []string) string
}

// Columns in the order in which they are written and scanned; the key comes first.
const (
	taskKey = "id, tenant, principal"
	byTask  = "id = ? AND tenant = ? AND principal = ?"

	headColumns = "id, tenant, principal, agent, context, state, status_at, listed, closed, last_seq, epoch," +
		" last_turn, done_turn, running, started, cancel, format"
	headCount = 17
	rowExtra  = ", cancel_request, snapshot_bytes, tail_bytes"

	itemColumns = "kind, turn, state, place, taken, arrival, attempt, failures, losses, at, turn_seq, waited, worker," +
		" priority, run_at, deadline, watched, expired, tried"
)

// wave is an INSERT for one row and for many at once.
type wave struct {
	columns   int
	one, many *Statement
}

// waveRows is how many rows the wide form of an INSERT takes: measured, more
// gains nothing.
const waveRows = 16

// statements are all texts, made once for a store.
type statements struct {
	dialect Dialect
	all     []*Statement

	taskLoad, taskUpdate, taskUpdateView *Statement
	itemCancel, itemOne                  *Statement
	itemUpdate, itemUpdateTimed          *Statement
	itemsEnd                             *Statement
	turnOne                              *Statement
	tailBytes                            *Statement
	readyAny, readyItems, leasedOut      *Statement
	readyAgent                           *Statement
	suspectItems                         *Statement
	suspectOf, suspectAfter              *Statement
	dueItems, dueNext, staleLeases       *Statement
	moveLeases, moveRetries              *Statement
	lateItems, lateNext                  *Statement
	keyLoad, keyReplace, keyDelete       *Statement
	keySweepable, keyPostpone            *Statement
	batchMark, batchLast                 *Statement
	head, snapshot, log                  *Statement
	turns, attempts                      *Statement
	secret                               *Statement
	tasks, items, turnRows, logRows      wave
	snapshots, attemptRows, keys         wave
	pages, totals                        [listShapes]*Statement
	sums, newer                          [plainShapes]*Statement
	countChange, countFirst              *Statement
	newest                               *Statement
}

// Statements are all statements that a store runs on a database, for tests of
// how the database plans them.
func Statements(d Dialect) []*Statement { return newStatements(d).all }

func newStatements(d Dialect) *statements {
	s := &statements{dialect: d}
	s.writes()
	s.queue()
	s.reads()
	s.lists()
	s.counts()
	return s
}

func (s *statements) text(sql string) *Statement {
	if s.dialect.Numbered {
		sql = number(sql)
	}
	st := &Statement{ID: len(s.all), SQL: sql}
	s.all = append(s.all, st)
	return st
}

// number turns each "?" into $1, $2, …; no text of ours has one in a literal.
func number(sql string) string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(sql, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// insert makes a wave; end is what follows the rows.
func (s *statements) insert(table, columns, end string) wave {
	n := strings.Count(columns, ",") + 1
	row := "(?" + strings.Repeat(", ?", n-1) + ")"
	head := "INSERT INTO " + table + " (" + columns + ") VALUES "
	return wave{
		columns: n,
		one:     s.text(head + row + end),
		many:    s.text(head + row + strings.Repeat(", "+row, waveRows-1) + end),
	}
}

func (s *statements) replace(key string, columns string) string {
	return s.dialect.Replace(strings.Split(key, ", "), strings.Split(columns, ", "))
}

func (s *statements) writes() {
	s.tasks = s.insert("tasks", headColumns+rowExtra, s.dialect.Ignore)
	s.items = s.insert("items", taskKey+", agent, format, "+itemColumns, s.replace(taskKey+", kind, turn",
		"state, place, taken, arrival, attempt, failures, losses, at, turn_seq, waited, worker, priority, run_at, deadline, watched, expired, tried"))
	s.turnRows = s.insert("turns", taskKey+", turn, message_id, message, request, format", "")
	s.logRows = s.insert("log", taskKey+", last_seq, first_seq, body, format", "")
	s.snapshots = s.insert("snapshots", taskKey+", seq, body, format", s.replace(taskKey, "seq, body, format"))
	s.attemptRows = s.insert("attempts",
		taskKey+", kind, turn, number, worker, epoch, outcome, error, stack, refused, started_at, duration",
		s.replace(taskKey+", kind, turn, number", "worker, epoch, outcome, error, stack, refused, started_at, duration"))
	s.keys = s.insert("keys", "tenant, principal, agent, value, hash, task, turn, expires, sweep_at", s.dialect.Ignore)

	const guard = " WHERE " + byTask + " AND epoch = ? AND last_seq = ?"
	const plain = "last_seq = ?, epoch = ?, last_turn = ?, done_turn = ?, running = ?, started = ?, cancel = ?," +
		" format = ?, cancel_request = ?, snapshot_bytes = ?, tail_bytes = ?"
	// A view is in the index of listings; without it the index is left alone.
	s.taskUpdate = s.text("UPDATE tasks SET " + plain + guard)
	s.taskUpdateView = s.text("UPDATE tasks SET state = ?, status_at = ?, listed = ?, closed = ?, " + plain + guard)
	s.taskLoad = s.text("SELECT " + headColumns + rowExtra + " FROM tasks WHERE " + byTask)

	const change = "UPDATE items SET state = ?, place = ?, taken = ?, attempt = ?, failures = ?, losses = ?," +
		" at = ?, turn_seq = ?, waited = ?, worker = ?, run_at = ?, tried = ?"
	const oneItem = " WHERE " + byTask + " AND kind = ? AND turn = ?"
	s.itemUpdate = s.text(change + oneItem)
	// What has to do with a deadline is in an index, which is left alone for the
	// items that have none.
	s.itemUpdateTimed = s.text(change + ", watched = ?, expired = ?" + oneItem)
	s.itemsEnd = s.text("UPDATE items SET state = 'canceled', place = 0, watched = 0 WHERE " + byTask + " AND kind = 'execute' AND turn > ?")
	s.itemOne = s.text("SELECT " + itemColumns + " FROM items WHERE " + byTask + " AND kind = ? AND turn = ?")
	s.itemCancel = s.text("SELECT " + itemColumns + " FROM items WHERE " + byTask + " AND kind = 'cancel' ORDER BY turn DESC LIMIT 1")
	s.turnOne = s.text("SELECT message, message_id, request FROM turns WHERE " + byTask + " AND turn = ?")
	s.tailBytes = s.text("SELECT COALESCE(SUM(LENGTH(body)), 0) FROM log WHERE " + byTask + " AND last_seq > ?")

	const key = "tenant = ? AND principal = ? AND agent = ? AND value = ?"
	s.keyLoad = s.text("SELECT hash, task, turn, expires FROM keys WHERE " + key)
	s.keyReplace = s.text("UPDATE keys SET hash = ?, task = ?, turn = ?, expires = ?, sweep_at = ? WHERE " + key)
	s.keyDelete = s.text("DELETE FROM keys WHERE " + key)
	s.keySweepable = s.text("SELECT tenant, principal, agent, value, task FROM keys WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?")
	s.keyPostpone = s.text("UPDATE keys SET sweep_at = ? WHERE " + key)

	s.batchMark = s.text("UPDATE batches SET id = ?, arrival = ?, run_at = ? WHERE lane = 0")
	s.batchLast = s.text("SELECT id, arrival, run_at FROM batches WHERE lane = 0")
}

func (s *statements) queue() {
	const owner = "SELECT " + taskKey
	s.readyAny = s.text("SELECT 1 FROM items WHERE place = 1 AND agent = ? AND format <= ? LIMIT 1")
	s.readyItems = s.text(owner + " FROM items WHERE place = 1 AND agent = ? AND format <= ? ORDER BY priority DESC, run_at, arrival LIMIT ?")
	s.readyAgent = s.text("SELECT agent FROM items WHERE place = 1 AND agent > ? AND format <= ? ORDER BY agent LIMIT 1")
	const triedLast = " ORDER BY tried DESC, priority DESC, run_at, arrival LIMIT "
	s.suspectItems = s.text(owner + " FROM items WHERE place = 4 AND agent = ? AND format <= ?" + triedLast + "?")
	const suspect = "SELECT agent, tried, priority, run_at, arrival FROM items WHERE place = 4 AND "
	s.suspectOf = s.text(suspect + "agent = ? AND format <= ?" + triedLast + "1")
	s.suspectAfter = s.text(suspect + "agent > ? AND format <= ? ORDER BY agent, tried DESC, priority DESC, run_at, arrival LIMIT 1")
	s.leasedOut = s.text(owner + " FROM items WHERE place = 2 AND at <= ? ORDER BY at LIMIT ?")
	s.dueItems = s.text(owner + " FROM items WHERE place = 3 AND at <= ? ORDER BY at, arrival LIMIT ?")
	s.dueNext = s.text("SELECT at FROM items WHERE place = 3 ORDER BY at LIMIT 1")
	s.lateItems = s.text(owner + ", kind, turn FROM items WHERE watched = 1 AND deadline <= ? AND format <= ? ORDER BY deadline LIMIT ?")
	s.lateNext = s.text("SELECT deadline FROM items WHERE watched = 1 AND format <= ? ORDER BY deadline LIMIT 1")
	s.moveLeases = s.text("UPDATE items SET at = at + ? WHERE place = 2")
	s.moveRetries = s.text("UPDATE items SET at = at + ? WHERE place = 3 AND state = 'retryable'")
	s.staleLeases = s.text(owner + " FROM items WHERE place = 2")
}

func (s *statements) reads() {
	s.head = s.text("SELECT " + headColumns + " FROM tasks WHERE " + byTask)
	s.snapshot = s.text("SELECT seq, body, format FROM snapshots WHERE " + byTask)
	s.log = s.text("SELECT first_seq, last_seq, body, format FROM log WHERE " + byTask + " AND last_seq > ? ORDER BY last_seq")
	s.turns = s.text("SELECT t.turn, t.message_id, t.message, t.request, t.format," +
		" i.state, i.attempt, i.failures, i.losses, i.turn_seq, i.expired" +
		" FROM turns t JOIN items i ON i.id = t.id AND i.tenant = t.tenant AND i.principal = t.principal" +
		" AND i.kind = 'execute' AND i.turn = t.turn" +
		" WHERE t.id = ? AND t.tenant = ? AND t.principal = ? AND t.turn > ? ORDER BY t.turn LIMIT ?")
	s.attempts = s.text("SELECT kind, turn, number, worker, epoch, outcome, error, stack, refused, started_at, duration" +
		" FROM attempts WHERE " + byTask + " ORDER BY number_in_store")
	s.secret = s.text("SELECT value FROM secrets WHERE name = ?")
}
