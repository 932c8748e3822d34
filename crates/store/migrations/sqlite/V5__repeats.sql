-- The task that this one repeats.
ALTER TABLE task ADD COLUMN repeats_uuid BLOB;
CREATE INDEX task_by_repeated ON task (repeats_uuid) WHERE repeats_uuid IS NOT NULL;
