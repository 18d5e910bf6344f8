-- A store as the release with migration 1 left it: what runs, what waits, a
-- retry, a cancel item, a task that has ended.
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
CREATE TABLE batches (
	lane INTEGER NOT NULL PRIMARY KEY,
	id BLOB NOT NULL,
	arrival INTEGER NOT NULL
);
INSERT INTO "batches" VALUES(0,X'6825BD53A03C1C63000000000000000B',8);
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
INSERT INTO "items" VALUES('done','','','execute',1,'demo',1,'completed',0,0,2,1,0,0,1795176015000,0,0,'worker');
INSERT INTO "items" VALUES('first','','','execute',1,'demo',1,'pending',1,0,5,0,0,0,0,0,0,'');
INSERT INTO "items" VALUES('first','','','execute',2,'demo',1,'pending',0,0,7,0,0,0,0,0,1,'');
INSERT INTO "items" VALUES('parked','','','cancel',1,'demo',1,'pending',1,0,8,0,0,0,0,0,0,'');
INSERT INTO "items" VALUES('parked','','','execute',1,'demo',1,'completed',0,0,3,1,0,0,1795176015000,0,0,'worker');
INSERT INTO "items" VALUES('retry','','','execute',1,'demo',1,'retryable',3,0,4,1,1,0,1795176060000,0,0,'worker');
INSERT INTO "items" VALUES('running','','','execute',1,'demo',1,'running',2,0,1,1,0,0,1795176015000,0,0,'worker');
INSERT INTO "items" VALUES('second','','','execute',1,'demo',1,'pending',1,0,6,0,0,0,0,0,0,'');
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
INSERT INTO "keys" VALUES('','','demo','first',X'68','first',1,1795179600000,1795179600000);
INSERT INTO "keys" VALUES('','','demo','second',X'68','second',1,1795179600000,1795179600000);
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
INSERT INTO "log" VALUES('done','','',2,1,X'7265636F726473206F6620646F6E65',1);
INSERT INTO "log" VALUES('parked','','',2,1,X'7265636F726473206F66207061726B6564',1);
CREATE TABLE migrations (
	version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL);
INSERT INTO "migrations" VALUES(1,'0001_tasks.sql','0f09fb6a8469571b58057bcd5e7f5ff0403382dc601834f8518d0d070578b218');
CREATE TABLE secrets (
	name TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO "secrets" VALUES('page-token',X'5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A');
CREATE TABLE snapshots (
	id TEXT NOT NULL,
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	seq INTEGER NOT NULL,
	body BLOB NOT NULL,
	format INTEGER NOT NULL,
	UNIQUE (id, tenant, principal)
);
INSERT INTO "snapshots" VALUES('done','','',2,X'736E617073686F74206F6620646F6E65',1);
INSERT INTO "snapshots" VALUES('parked','','',2,X'736E617073686F74206F66207061726B6564',1);
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
INSERT INTO "tasks" VALUES('done','','','demo','context','COMPLETED',1795213295042,1,1,2,1,1,1,0,1,0,1,NULL,16,0);
INSERT INTO "tasks" VALUES('first','','','demo','context','',-62135596800000,0,0,0,0,2,0,0,0,0,1,NULL,0,0);
INSERT INTO "tasks" VALUES('parked','','','demo','context','INPUT_REQUIRED',1795213295043,1,0,2,1,1,1,0,1,1,1,X'73746F70',18,0);
INSERT INTO "tasks" VALUES('retry','','','demo','context','',-62135596800000,0,0,0,1,1,0,0,1,0,1,NULL,0,0);
INSERT INTO "tasks" VALUES('running','','','demo','context','',-62135596800000,0,0,0,1,1,0,1,1,0,1,NULL,0,0);
INSERT INTO "tasks" VALUES('second','','','demo','context','',-62135596800000,0,0,0,0,1,0,0,0,0,1,NULL,0,0);
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
INSERT INTO "turns" VALUES('running','','',1,'m-running',X'6D657373616765206F662072756E6E696E67',NULL,1);
INSERT INTO "turns" VALUES('done','','',1,'m-done',X'6D657373616765206F6620646F6E65',NULL,1);
INSERT INTO "turns" VALUES('parked','','',1,'m-parked',X'6D657373616765206F66207061726B6564',NULL,1);
INSERT INTO "turns" VALUES('retry','','',1,'m-retry',X'6D657373616765206F66207265747279',NULL,1);
INSERT INTO "turns" VALUES('first','','',1,'m-first',X'6D657373616765206F66206669727374',NULL,1);
INSERT INTO "turns" VALUES('second','','',1,'m-second',X'6D657373616765206F66207365636F6E64',NULL,1);
INSERT INTO "turns" VALUES('first','','',2,'m-first-2',X'6D657373616765206F66206669727374',NULL,1);
CREATE INDEX tasks_listed ON tasks (tenant, principal, status_at, id, agent) WHERE listed = 1;
CREATE INDEX tasks_context ON tasks (tenant, principal, context, status_at, id, agent, state) WHERE listed = 1;
CREATE INDEX tasks_state ON tasks (tenant, principal, state, status_at, id, agent) WHERE listed = 1;
CREATE INDEX items_ready ON items (agent, arrival) WHERE place = 1;
CREATE INDEX items_leased ON items (id) WHERE place = 2;
CREATE INDEX items_due ON items (at, arrival) WHERE place = 3;
CREATE INDEX keys_sweep ON keys (sweep_at);
