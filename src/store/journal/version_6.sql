-- By which event a message was received, found by the broker's ticket and by the worker's own id. Events are put here many at once, since
-- an index of the events themselves costs each commit another page. `indexed` has one row: the last event whose keys are here.

CREATE TABLE tickets (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (epoch, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_ids (
    id TEXT NOT NULL,
    worker TEXT NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (id, worker)
) STRICT, WITHOUT ROWID;

CREATE TABLE indexed (event INTEGER NOT NULL) STRICT;

-- The indexes have these columns in this order, so they come last: without them, both statements would read every event and sort them.
INSERT OR IGNORE INTO tickets SELECT ticket_epoch, ticket_number, number FROM events
    WHERE ticket_epoch IS NOT NULL ORDER BY ticket_epoch, ticket_number, number;
INSERT OR IGNORE INTO message_ids SELECT message_id, worker, number FROM events
    WHERE message_id IS NOT NULL ORDER BY message_id, worker, number;
INSERT INTO indexed SELECT coalesce(max(number), 0) FROM events;

DROP INDEX events_by_ticket;
DROP INDEX events_by_message_id;
