// SPDX-License-Identifier: Apache-2.0

package mutate

// mutation is a broken promise.
type mutation struct {
	name     string
	file     string // from the root of the module
	old, new string
	pkg      string // whose tests must notice
	run      string
	args     []string
	// always is whether it runs without -all.
	always bool
}

// simulated are mutations that the simulation must notice.
func simulated(name, file, old, broken string) mutation {
	return mutation{name: name, file: file, old: old, new: broken, pkg: "./internal/prove/sim", run: "^TestSimulation$", args: []string{"-seeds=999"}}
}

// inCheck makes a mutation one of those that every check tries.
func (m mutation) inCheck() mutation {
	m.always = true
	return m
}

const (
	memoryAppend = "internal/store/memory/append.go"
	memoryQueue  = "internal/store/memory/queue.go"
	memorySubmit = "internal/store/memory/submit.go"
	memoryRow    = "internal/store/memory/row.go"
	memoryList   = "internal/store/memory/list.go"
	workerCommit = "internal/worker/commit.go"
	follow       = "internal/engine/follow.go"
)

// table lists the mutations. The first three are the ones that the engine
// stands on; each of the others is a place where one promise hangs on one line.
var table = []mutation{
	simulated("a write of an old epoch is accepted", memoryAppend,
		"if a.Epoch != r.head.Epoch || a.LastSeq != r.head.LastSeq {",
		"if a.LastSeq != r.head.LastSeq {").inCheck(),
	simulated("a commit is shown before it is made", workerCommit,
		"		ans, err := at.w.o.Queue.Append(context.Background(), at.operation(b, f))\n",
		"		at.w.o.Hub.Publish(at.ref, live.Tail{Records: b.recs, DoneTurn: at.claim.Head.DoneTurn})\n"+
			"		ans, err := at.w.o.Queue.Append(context.Background(), at.operation(b, f))\n").inCheck(),
	simulated("a follower accepts any cursor", follow,
		"case r.Seq != f.cursor+1:", "case false:").inCheck(),
	{
		name: "a write of an old epoch is accepted by SQL", file: "internal/store/sqlstore/append.go",
		old: "if a.Epoch != r.head.Epoch || a.LastSeq != r.head.LastSeq {", new: "if a.LastSeq != r.head.LastSeq {",
		pkg: "./internal/store/sqlite", run: "^TestStore$/^fence$", always: true,
	},
	{
		name: "the statement that updates a task does not name the epoch", file: "internal/store/sqlstore/statements.go",
		old: `" AND epoch = ? AND last_seq = ?"`, new: `" AND ? IS NOT NULL AND last_seq = ?"`,
		pkg: "./internal/store/sqlite ./internal/store/sqlstore", run: ".",
	},
	simulated("a follower that lagged does not read the log", follow,
		"if lagged && f.done == nil {", "if lagged && false {"),
	simulated("the last sequence is not compared", memoryAppend,
		"if a.Epoch != r.head.Epoch || a.LastSeq != r.head.LastSeq {",
		"if a.Epoch != r.head.Epoch {"),
	simulated("a rescue does not raise the epoch", memoryQueue,
		"i.losses++\n				r.head.Epoch++", "i.losses++"),
	simulated("a claim does not raise the epoch", memoryQueue,
		"now.Add(by.TTL)\n	r.head.Epoch++", "now.Add(by.TTL)"),
	simulated("a takeover does not raise the epoch", memoryAppend,
		"if a.TakeEpoch {\n		r.head.Epoch++", "if a.TakeEpoch {"),
	simulated("an item is rescued before its lease has run out", memoryQueue,
		"return r != nil && !now.Before(r.at)", "return r != nil"),
	simulated("a heartbeat of an old epoch renews", memoryQueue,
		"if r == nil || r.head.Epoch != b.Epoch {", "if r == nil {"),
	simulated("a loss is not counted", memoryQueue,
		"i.losses++\n", ""),
	simulated("a terminal record does not close the task", memoryList,
		"= v.State, at, v.Listed, v.Closed", "= v.State, at, v.Listed, false"),
	{
		name: "a closed task is written to", file: memoryAppend,
		old: "	if r.head.Closed {\n		return nil, nil, store.ErrClosed\n	}\n", new: "",
		pkg: "./internal/store/memory", run: "^TestMemoryIsAStore$/closing|takeover|append",
	},
	simulated("a task ends without its newest turn", memoryAppend,
		"if a.View != nil && a.View.Closed && a.LastTurn != r.head.LastTurn {", "if false {"),
	simulated("the newest turn goes first", memoryRow,
		"return &r.turns[r.head.DoneTurn].item", "return &r.turns[len(r.turns)-1].item"),
	simulated("an idempotency key is not stored", memorySubmit,
		"if sub.Key != nil {\n		s.keys[", "if sub.Key == nil {\n		sub.Key = &store.Key{}\n		s.keys["),
	simulated("a stale follow-up is accepted", memorySubmit,
		"if sub.Turn != h.LastTurn+1 || sub.LastSeq != h.LastSeq || sub.DoneTurn != h.DoneTurn {", "if sub.LastSeq != h.LastSeq {"),
	simulated("an unknown outcome is taken for success", workerCommit,
		"		case err == nil:\n			at.landed(b, f, ans)", "		case err == nil, errors.Is(err, store.ErrUnknown):\n			at.landed(b, f, ans)"),
	simulated("the end of a task does not name the message of the turn that waited first", workerCommit,
		"after-- // nobody has opened the current turn if it had to wait", ""),
	{
		name: "the end of a turn forgets a cancellation", file: memoryAppend,
		old: "if a.Finish != nil && !a.TakeEpoch && i.ended() && r.unheard() {", new: "if false {",
		pkg: "./internal/store/memory", run: "^TestMemoryIsAStore$/^cancelitem$",
	},
	{
		name: "a record of another is taken for one's own after a doubt", file: workerCommit,
		old: "len(batches) > 0 && bytes.Equal(batches[0].Body, record.EncodeBatch(b.recs))",
		new: "len(batches) > 0 && !bytes.Equal(nil, batches[0].Body)",
		pkg: "./internal/worker", run: "ARecordOfAnother",
	},
	{
		name: "a doubtful end forgets the cancellation", file: workerCommit,
		old: "ans.Cancel = head.Cancel", new: "_ = head",
		pkg: "./internal/worker", run: "CancelDuringADoubtfulEnd",
	},
	{
		name: "the message of a turn that was lost is forgotten when its deadline passes", file: "internal/worker/prepare.go",
		old: "if c.Attempt > 0 { // the run", new: "if false { // the run",
		pkg: "./internal/worker", run: "RecordedNothing",
	},
	simulated("one more attempt than the policy allows", "internal/task/retry.go",
		"failures >= r.MaxAttempts ||", "failures > r.MaxAttempts ||"),
	simulated("a turn that was lost too often runs again", "internal/worker/verdict.go",
		"case c.Losses >= p.Retry.MaxLosses:\n		at.conclude", "case c.Losses >= 2*p.Retry.MaxLosses:\n		at.conclude"),
	simulated("a warm task is not brought up to date", "internal/worker/prepare.go",
		"e != nil && at.catchUp(e.state) == nil {", "e != nil {"),
	simulated("a retryable item never becomes due", "internal/store/memory/promote.go",
		"i.state, i.runAt = store.Pending, i.until", "i.state, i.runAt = store.Retryable, i.until.Add(1<<40)\n				i.until = i.runAt"),
	simulated("a listing forgets whose it is", memoryList,
		"		l := s.lists[q.Scope]\n", "		l := &listing{}\n		for _, other := range s.lists {\n			l.rows = append(l.rows, other.rows...)\n		}\n"),
	simulated("the end of a turn is not told to its callers", workerCommit,
		"case f != nil && f.finish.EndTurn:\n		done = at.claim.Item.Turn", "case f != nil && f.finish.EndTurn:"),
	{
		// The simulation does not see it: the agent runs once more and is cancelled then.
		name: "a cancellation that was asked for is not acted on by the next run", file: "internal/worker/verdict.go",
		old: "case c.Head.Cancel == store.CancelRequested:\n		at.conclude(canceled())\n", new: "",
		pkg: "./internal/worker", run: "^TestLoss$",
	},
	{
		name: "a heartbeat does not tell of a cancellation", file: memoryQueue,
		old: "return store.BeatAnswer{LastTurn: r.head.LastTurn, Cancel: r.head.Cancel, CancelRequest: r.askedToCancel()}",
		new: "return store.BeatAnswer{LastTurn: r.head.LastTurn}",
		pkg: "./internal/store/memory ./internal/worker", run: "Memory|Cancel",
	},
	{
		name: "events after the end of a turn are recorded", file: "internal/task/turn.go",
		old: "	if t.ended || s.Closed() {\n		return nil, EndNone, fmt.Errorf(\"%s after the end", new: "	if false {\n		return nil, EndNone, fmt.Errorf(\"%s after the end",
		pkg: "./internal/task ./internal/worker", run: ".",
	},
	{
		name: "a release counts as a failure", file: "internal/worker/verdict.go",
		old: "v = &verdict{finish: store.Finish{State: store.Pending}, outcome: outcomeReleased}",
		new: "v = &verdict{finish: store.Finish{State: store.Retryable}, outcome: outcomeReleased}",
		pkg: "./internal/worker", run: ".",
	},
	{
		name: "a refused claim is repeated without a pause", file: "internal/worker/claim.go",
		old: "		w.hush(name)\n", new: "",
		pkg: "./internal/worker", run: "RefusedClaims",
	},
	{
		name: "a message that was accepted is answered as if it were not", file: "internal/engine/reply.go",
		old: "return Reply{}, unread(acc.ref.ID, err)", new: "return Reply{}, err",
		pkg: "./internal/engine", run: "Unread",
	},
}
