-- Stored names become those of the program. Values are JSON as serde_json writes it, without spaces: in it `"name":` is a key of ours and
-- never a part of a text, whose quotes are escaped. So replacing it changes nothing else: neither numbers nor nulls nor the order of keys.

ALTER TABLE runs RENAME COLUMN ended_well TO succeeded;
ALTER TABLE events RENAME COLUMN place TO rule_location;
ALTER TABLE expected RENAME TO expectations;

-- `told_to_end` with `time_limit`, the stage `waiting`, the ending `dropped`, and the `place` of a launch.

UPDATE runs SET body = replace(replace(replace(replace(replace(body,
    '"told_to_end":"time_limit"', '"stop_requested":"timeout"'),
    '"told_to_end":', '"stop_requested":'),
    '"stage":{"waiting":', '"stage":{"pending":'),
    '"ending":"dropped"', '"ending":"discarded"'),
    '"place":', '"location":');

-- `wait_for`, `waiting` and `counted` of a join.

UPDATE joins SET body = replace(replace(replace(replace(body,
    '"wait_for":', '"requires":'),
    '"waiting":', '"pending":'),
    '"counted":', '"received":'),
    '"place":', '"location":');

-- Reasons of parked messages once began with a line for the log; their errors are what remains. Then `what` is parked.

UPDATE parked SET body = replace(body,
    '"reason":"the rule for this message failed, so nothing is launched after it: '
        || trim(body -> '$.what.message.source', '"') || ': (' || trim(body -> '$.what.message.type', '"') || ')\n',
    '"reason":"')
WHERE body -> '$.what.message' IS NOT NULL;

UPDATE parked SET body = replace(replace(body, '"what":', '"item":'), '"place":', '"location":');

UPDATE expectations SET body = replace(replace(replace(body,
    '"noticed_since":', '"observed_since":'),
    '"came":', '"last_received":'),
    '"judged":', '"evaluated_until":');

UPDATE events SET outcome = replace(outcome, '{"tried_again":', '{"retried":') WHERE outcome LIKE '{"tried_again":%';

-- Operators' commands: `drop`, the `what` of a release, the run that is launched `again`, `checklist_then` of a retry.

UPDATE events SET detail =
    CASE detail ->> '$.command'
        WHEN 'drop' THEN replace(replace(detail, '"command":"drop"', '"command":"discard"'), '"what":', '"number":')
        WHEN 'release' THEN replace(detail, '"what":', '"number":')
        WHEN 'retry' THEN replace(detail, '"checklist_then":', '"historical_checklist":')
        ELSE replace(replace(detail, '"again":', '"rerun_of":'), '"place":', '"location":')
    END
WHERE CASE kind WHEN 'command' THEN detail ->> '$.command' END IN ('drop', 'release', 'retry', 'launch', 'launch_scheduled');

-- The command with which an operator acknowledged a failed run.

ALTER TABLE runs ADD COLUMN acknowledged_by INTEGER;
CREATE INDEX runs_acknowledged ON runs (id) WHERE acknowledged_by IS NOT NULL;
