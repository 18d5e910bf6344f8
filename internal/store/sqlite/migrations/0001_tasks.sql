-- The id stands before the scope in every key of a task: ids are made in the
-- order of time, so all tenants append at the same end of a table, and the
-- first column decides nearly every comparison.

CREATE TABLE tasks (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	agent TEXT NOT NULL,
	context TEXT NOT NULL,
	state TEXT NOT NULL,
	status_at INTEGER NOT NULL,
	listed INTEGER NOT NULL,
	closed INTEGER NOT NULL,
	last_seq INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	last_turn INTEGER NOT NULL,
	done_turn INTEGER NOT NULL,
	running INTEGER NOT NULL,
	started INTEGER NOT NULL,
	cancel INTEGER NOT NULL,
	format INTEGER NOT NULL,
	cancel_request BLOB,
	snapshot_bytes INTEGER NOT NULL,
	tail_bytes INTEGER NOT NULL,
	PRIMARY KEY (id, tenant, principal)
) WITHOUT ROWID;

-- One for each filter that can be rare; the agent stands behind, so that
-- counting never leaves the index.
CREATE INDEX tasks_listed ON tasks (tenant, principal, status_at, id, agent) WHERE listed = 1;
CREATE INDEX tasks_context ON tasks (tenant, principal, context, status_at, id, agent, state) WHERE listed = 1;
CREATE INDEX tasks_state ON tasks (tenant, principal, state, status_at, id, agent) WHERE listed = 1;

-- place: 0 in no queue, 1 ready, 2 leased, 3 due later. The indexes hold what
-- is in a queue and nothing of what has ended.
CREATE TABLE items (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	kind TEXT NOT NULL,
	turn INTEGER NOT NULL,
	agent TEXT NOT NULL,
	format INTEGER NOT NULL,
	state TEXT NOT NULL,
	place INTEGER NOT NULL,
	taken INTEGER NOT NULL,
	arrival INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	losses INTEGER NOT NULL,
	at INTEGER NOT NULL,
	turn_seq INTEGER NOT NULL,
	waited INTEGER NOT NULL,
	worker TEXT NOT NULL,
	PRIMARY KEY (id, tenant, principal, kind, turn)
) WITHOUT ROWID;

CREATE INDEX items_ready ON items (agent, arrival) WHERE place = 1;
-- Not by the end of the lease: that moves with every heartbeat, and there are
-- never more leases than slots.
CREATE INDEX items_leased ON items (id) WHERE place = 2;
CREATE INDEX items_due ON items (at, arrival) WHERE place = 3;

CREATE TABLE turns (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	turn INTEGER NOT NULL,
	message_id TEXT NOT NULL,
	message BLOB,
	request BLOB,
	format INTEGER NOT NULL,
	UNIQUE (id, tenant, principal, turn)
);

-- By the last sequence, so that what follows a cursor is one range.
CREATE TABLE log (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	last_seq INTEGER NOT NULL,
	first_seq INTEGER NOT NULL,
	body BLOB NOT NULL,
	format INTEGER NOT NULL,
	UNIQUE (id, tenant, principal, last_seq)
);

CREATE TABLE snapshots (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	seq INTEGER NOT NULL,
	body BLOB NOT NULL,
	format INTEGER NOT NULL,
	UNIQUE (id, tenant, principal)
);

-- number_in_store keeps the order in which attempts were first recorded.
CREATE TABLE attempts (
	number_in_store INTEGER PRIMARY KEY,
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	kind TEXT NOT NULL,
	turn INTEGER NOT NULL,
	number INTEGER NOT NULL,
	worker TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	error TEXT NOT NULL,
	stack TEXT NOT NULL,
	refused TEXT NOT NULL,
	started_at INTEGER NOT NULL,
	duration INTEGER NOT NULL,
	UNIQUE (id, tenant, principal, kind, turn, number)
);

-- Idempotency keys. sweep_at is when to look whether the key can go: it has
-- expired and its task has ended.
CREATE TABLE keys (
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	agent TEXT NOT NULL,
	value TEXT NOT NULL,
	hash BLOB NOT NULL,
	task TEXT NOT NULL,
	turn INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	sweep_at INTEGER NOT NULL,
	PRIMARY KEY (tenant, principal, agent, value)
) WITHOUT ROWID;

CREATE INDEX keys_sweep ON keys (sweep_at);

CREATE TABLE secrets (
	name TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- The mark of the last batch of each lane of the committer.
CREATE TABLE batches (
	lane INTEGER NOT NULL PRIMARY KEY,
	id BLOB NOT NULL,
	arrival INTEGER NOT NULL
);

INSERT INTO batches (lane, id, arrival) VALUES (0, x'', 0);
