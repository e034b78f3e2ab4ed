-- Numbers are those of the one sequence of events, runs, joins, parked and held. Tickets are 64 bits without a sign, kept in 64 bits
-- with one. Times of day have their zone. What SQLite need not look into is JSON; values of YAML in it are YAML text.

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    -- message, run_ended, due, command, rules_loaded, rules_refused, checklist_read
    kind TEXT NOT NULL,
    worker TEXT,
    type TEXT,
    speaker TEXT,
    ticket_epoch INTEGER,
    ticket_number INTEGER,
    message_id TEXT,
    -- That a message reports for, or that ended.
    run INTEGER,
    outcome TEXT,
    -- Of the rules in force.
    generation INTEGER,
    place TEXT,
    keys_read TEXT,
    reply TEXT,
    -- YAML; null for a need, which is answered anew.
    reply_payload TEXT,
    user TEXT,
    answer TEXT,
    -- The command; the rules' hash; why rules were refused or the checklist was read.
    detail TEXT,
    -- How it changed the checklist; null if it did not.
    checklist TEXT,
    body BLOB
) STRICT;

CREATE INDEX events_by_ticket ON events (ticket_epoch, ticket_number) WHERE ticket_epoch IS NOT NULL;
CREATE INDEX events_by_message_id ON events (message_id, worker) WHERE message_id IS NOT NULL;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    worker TEXT NOT NULL,
    args TEXT NOT NULL,
    cause INTEGER NOT NULL,
    -- The last event that changed it.
    changed_by INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    -- 1 if it ended well and reported no failure, 0 if not; null while that is open and for a dropped one.
    ended_well INTEGER,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX runs_by_worker ON runs (worker);
CREATE INDEX runs_by_cause ON runs (cause);
CREATE INDEX runs_open ON runs (id) WHERE is_open = 1;

CREATE TABLE joins (id INTEGER PRIMARY KEY, closed_by INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX joins_open ON joins (id) WHERE closed_by IS NULL;

CREATE TABLE parked (id INTEGER PRIMARY KEY, closed_by INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX parked_open ON parked (id) WHERE closed_by IS NULL;

CREATE TABLE holds (id INTEGER PRIMARY KEY, closed_by INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX holds_open ON holds (id) WHERE closed_by IS NULL;

CREATE TABLE rules (
    generation INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    loaded_by INTEGER NOT NULL,
    -- The last ones that were refused while these were in force.
    refused TEXT,
    refused_by INTEGER
) STRICT;

CREATE TABLE snapshots (
    -- The checklist after that event.
    event INTEGER PRIMARY KEY,
    -- The last event that had changed it by then.
    changed_by INTEGER NOT NULL,
    checklist TEXT NOT NULL
) STRICT;

INSERT INTO snapshots (event, changed_by, checklist) VALUES (0, 0, '{}');
