-- A job is one submission of many tasks. The rows of its tasks are written when they can run soon. Their ids and numbers
-- are reserved when the job is submitted: task `index` (from 1) has the id `first_id + index - 1`.
CREATE TABLE job (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id        INTEGER NOT NULL REFERENCES groups (id),
    creator_id      INTEGER NOT NULL REFERENCES users (id),
    name            TEXT,
    labels          TEXT    NOT NULL,
    priority        INTEGER NOT NULL,
    blueprint       TEXT    NOT NULL,               -- the task and its parameters, as JSON
    size            INTEGER NOT NULL CHECK (size > 0),
    first_id        INTEGER NOT NULL,
    first_number    INTEGER NOT NULL,
    written         INTEGER NOT NULL,               -- tasks that have a row; the first ones
    paused          INTEGER NOT NULL DEFAULT 0,
    skipped         TEXT,                           -- tasks to write as cancelled: ranges of indices, as JSON
    stop_cause      INTEGER,                        -- no task is written any more: why
    stop_job_id     INTEGER,                        -- the dependency that was not met
    unmet           INTEGER NOT NULL DEFAULT 0,     -- dependencies that are not met yet
    start_after     INTEGER,
    expires_at      INTEGER,
    max_running     INTEGER,
    max_failures    INTEGER,
    retry           TEXT,                           -- when tasks get further attempts, as JSON
    submission_key  TEXT,                           -- the idempotency key of the submission
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    ended_at        INTEGER
) STRICT;
CREATE INDEX job_by_group ON job (group_id, id);
CREATE INDEX job_by_creator ON job (creator_id, id);
CREATE INDEX job_by_name ON job (group_id, name, id) WHERE name IS NOT NULL;
CREATE INDEX job_active ON job (id) WHERE ended_at IS NULL;

-- How many written tasks of a job are in each state: the sum over all shards. A single shard may be negative.
CREATE TABLE job_count (
    job_id    INTEGER NOT NULL REFERENCES job (id),
    shard     INTEGER NOT NULL,
    waiting   INTEGER NOT NULL,
    running   INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    timed_out INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (job_id, shard)
) STRICT, WITHOUT ROWID;

-- Jobs that a job waits for.
CREATE TABLE job_dependency (
    job_id    INTEGER NOT NULL REFERENCES job (id),
    needed_id INTEGER NOT NULL REFERENCES job (id),
    kind      INTEGER NOT NULL,
    met       INTEGER NOT NULL,
    PRIMARY KEY (job_id, needed_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_dependency_by_needed ON job_dependency (needed_id, met);

-- Earlier attempts of a task that was retried, and attempts that were lost with their worker. The last one is in `done` or
-- `lease`.
CREATE TABLE attempt (
    task_id       INTEGER NOT NULL REFERENCES task (id),
    epoch         INTEGER NOT NULL,
    state         INTEGER NOT NULL,
    exit_status   INTEGER NOT NULL,
    message       INTEGER,
    reporter_uuid BLOB,
    token         INTEGER NOT NULL,
    claimed_at    INTEGER,
    finished_at   INTEGER NOT NULL,
    retried_by    INTEGER NOT NULL,                 -- a user, the policy of the job, or the loss of the worker
    data          TEXT,
    warnings      TEXT,
    PRIMARY KEY (task_id, epoch)
) STRICT, WITHOUT ROWID;

-- NULL for a task that was submitted on its own.
ALTER TABLE task ADD COLUMN job_id INTEGER;

-- A held row is not assigned: its job is paused, at its limit, or the next attempt is deferred until a time.
CREATE TABLE new_ready (
    lane_id      INTEGER NOT NULL REFERENCES lane (id),
    held         INTEGER NOT NULL DEFAULT 0,
    neg_priority INTEGER NOT NULL,
    task_id      INTEGER NOT NULL UNIQUE REFERENCES task (id),
    epoch        INTEGER NOT NULL,                  -- attempts so far
    losses       INTEGER NOT NULL,                  -- attempts whose worker was lost
    queued_at    INTEGER NOT NULL,
    held_until   INTEGER,
    PRIMARY KEY (lane_id, held, neg_priority, task_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_ready (lane_id, neg_priority, task_id, epoch, losses, queued_at)
SELECT lane_id, neg_priority, task_id, epoch, losses, queued_at FROM ready;
DROP TABLE ready;
ALTER TABLE new_ready RENAME TO ready;
CREATE INDEX ready_held ON ready (task_id) WHERE held;
