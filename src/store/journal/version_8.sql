-- Notes of messages, and the cycles that are kept. A step of the program then notes the messages of the last days.

-- How the event changed the notes and the cycles; null if it did not. JSON as in `checklist`.
ALTER TABLE events ADD COLUMN notes TEXT;
-- The join of a cycle or since a moment that the message's rule returned, which may have existed already. JSON.
ALTER TABLE events ADD COLUMN join_request TEXT;
-- The notes and the cycles after that event. JSON; null where they are not known: in snapshots from before version 8.
ALTER TABLE snapshots ADD COLUMN notes TEXT;
-- 1 for a join by cycle or since a moment, until it is forgotten: it is known after it was closed.
ALTER TABLE joins ADD COLUMN is_known INTEGER NOT NULL DEFAULT 0;
CREATE INDEX known_joins ON joins (id) WHERE is_known = 1;
