-- The rules of each generation as they were, for replays, and to bring one back. The main file has position 0.

CREATE TABLE rule_files (
    hash TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- Its path inside the rules' folder.
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (hash, position)
) STRICT;

-- Which of its times each scheduled worker was launched for last, so that each comes once.

CREATE TABLE scheduled (
    -- The worker with its arguments.
    item TEXT NOT NULL PRIMARY KEY,
    due TEXT NOT NULL
) STRICT;

-- What is known of each kind of message that must have come before a time of day.

CREATE TABLE expected (worker TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (worker, type)) STRICT;
