-- How many tasks an agent of ours runs at once; NULL for a published worker, which runs one.
ALTER TABLE worker ADD COLUMN slots INTEGER;
-- How long this worker may be silent, in microseconds.
ALTER TABLE worker_session ADD COLUMN lease BIGINT NOT NULL DEFAULT 600000000;
-- A user wants the command to be stopped.
ALTER TABLE lease ADD COLUMN stop_asked BOOLEAN NOT NULL DEFAULT false;
-- The small result.json that a task left.
ALTER TABLE done ADD COLUMN data JSON;
