-- The quarantine: place 4 holds the items that are ready and were lost so often
-- that their processes may have died of them. The claim index of the others has
-- none of them. tried numbers the claims of such items; 0 is never.
ALTER TABLE items ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
CREATE INDEX items_suspect ON items (agent, tried DESC, priority DESC, run_at, arrival) WHERE place = 4;
UPDATE items SET place = 4 WHERE place = 1 AND losses >= 3;
