-- With the kind 2, each task of a job needs the success of the task with the same index of another job. The number is that
-- of `enum_codes.rs`.
ALTER TABLE job_dependency ADD COLUMN mask BIGINT NOT NULL DEFAULT 0;       -- its bit in `ready.blocked`, for the kind 2
ALTER TABLE job_dependency ADD COLUMN artifacts JSON;                       -- what the tasks fetch from the needed job
CREATE INDEX job_dependency_each ON job_dependency (needed_id) WHERE kind = 2;

-- One bit for each job of which the task needs a task that has not succeeded. A blocked row is held.
ALTER TABLE ready ADD COLUMN blocked BIGINT NOT NULL DEFAULT 0;
DROP INDEX ready_held;
CREATE INDEX ready_held ON ready (task_id) WHERE held AND blocked = 0;

ALTER TABLE job_count ADD COLUMN blocked BIGINT NOT NULL DEFAULT 0;         -- waiting tasks whose row is blocked
-- Whether a later submission needs the tasks of this job one by one. A transaction that has ended tasks learns it here if it
-- began before that submission.
ALTER TABLE job_count ADD COLUMN is_needed BOOLEAN NOT NULL DEFAULT FALSE;
