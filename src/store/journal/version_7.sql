-- The cycle of a message and of a run, for lists of one cycle. Old entries have none.

ALTER TABLE events ADD COLUMN cycle TEXT;
ALTER TABLE runs ADD COLUMN cycle TEXT;
