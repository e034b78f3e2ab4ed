-- The command with which an operator acknowledged a failed run.

ALTER TABLE runs ADD COLUMN acknowledged_by INTEGER;
CREATE INDEX runs_acknowledged ON runs (id) WHERE acknowledged_by IS NOT NULL;
