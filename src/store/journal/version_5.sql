-- From which readings of the clocks steady time is counted: the first reading of each boot of the machine, and one after each step of the
-- wall clock. From one to the next, the events are in the order of their times. Before version 5 steps were not recorded: there is a
-- row without a reading where the times of events go back.

CREATE TABLE clock_readings (
    -- The first event after it.
    event INTEGER PRIMARY KEY,
    body TEXT
) STRICT;

INSERT INTO clock_readings (event)
SELECT number FROM (
    SELECT number, time, lag(time) OVER (ORDER BY number) AS before
    FROM (SELECT number, unixepoch(substr(at, 1, instr(at, '[') - 1)) AS time FROM events))
WHERE time <= before - 5;

-- Of each entry of the schedule there are several times if it was launched while the clock was ahead.

CREATE TABLE scheduled_times (item TEXT NOT NULL, due TEXT NOT NULL, PRIMARY KEY (item, due)) STRICT;
INSERT INTO scheduled_times (item, due) SELECT item, due FROM scheduled;
DROP TABLE scheduled;
ALTER TABLE scheduled_times RENAME TO scheduled;
