-- The rules of each generation as they were, for replays, and to bring one back. The main file has position 0.

CREATE TABLE rule_files (
    hash TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- Its path inside the rules' folder.
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (hash, position)
) STRICT;
