-- What a message may ask of the queue. run_at orders the ready items of one
-- priority; those from before have 0 and so keep their place in front.
ALTER TABLE items ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN run_at INTEGER NOT NULL DEFAULT 0;
-- deadline: 0 is none. watched: 1 while the passing of it is to be acted upon.
-- expired: 1 once it has passed before the turn ended.
ALTER TABLE items ADD COLUMN deadline INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN watched INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;

-- The latest run time that was given to what may run at once.
ALTER TABLE batches ADD COLUMN run_at INTEGER NOT NULL DEFAULT 0;

DROP INDEX items_ready;
CREATE INDEX items_ready ON items (agent, priority DESC, run_at, arrival) WHERE place = 1;
CREATE INDEX items_late ON items (deadline) WHERE watched = 1;

-- A listing is of one agent: a rare one among many is found, not looked for.
DROP INDEX tasks_listed;
DROP INDEX tasks_context;
DROP INDEX tasks_state;
CREATE INDEX tasks_listed ON tasks (tenant, principal, agent, status_at, id) WHERE listed = 1;
CREATE INDEX tasks_context ON tasks (tenant, principal, agent, context, status_at, id, state) WHERE listed = 1;
CREATE INDEX tasks_state ON tasks (tenant, principal, agent, state, status_at, id) WHERE listed = 1;
