-- The text of nowcast.yaml where it changed. Events before the first row were decided by one that is not known.

CREATE TABLE configurations (
    -- The first event that was decided by it.
    event INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
