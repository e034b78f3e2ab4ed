-- The text of nowcast.yaml where it changed. The configuration of events before the first row is unknown.

CREATE TABLE configurations (
    -- The first event that was decided by it.
    event INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
