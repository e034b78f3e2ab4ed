-- Notes of messages, and the cycles that are kept. A step of the program then notes the messages of the last days.

-- How the event changed the notes and the cycles; null if it did not. JSON as in `checklist`.
ALTER TABLE events ADD COLUMN notes TEXT;
-- The join of a cycle or since a moment that the message's rule returned, which may have existed already. JSON.
ALTER TABLE events ADD COLUMN join_request TEXT;
-- The notes and the cycles after that event. JSON; null where they are not known: in snapshots from before version 8.
ALTER TABLE snapshots ADD COLUMN notes TEXT;
-- 1 for a closed join that is still known, since its cycle is kept.
ALTER TABLE joins ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0;
CREATE INDEX joins_remembered ON joins (id) WHERE remembered = 1;

-- The texts of configurations, by their SHA-256, with the event that each came into force by.
CREATE TABLE configs (hash TEXT NOT NULL PRIMARY KEY, loaded_by INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
