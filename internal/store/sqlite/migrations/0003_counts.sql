-- How many listed tasks there are, kept by every commit: the total of a listing
-- must not cost a walk over all of them.
CREATE TABLE counts (
	tenant TEXT NOT NULL,
	principal TEXT NOT NULL,
	agent TEXT NOT NULL,
	state TEXT NOT NULL,
	tasks INTEGER NOT NULL,
	PRIMARY KEY (tenant, principal, agent, state)
) WITHOUT ROWID;

INSERT INTO counts (tenant, principal, agent, state, tasks)
	SELECT tenant, principal, agent, state, COUNT(*) FROM tasks WHERE listed = 1 GROUP BY tenant, principal, agent, state;
