-- A job is one submission of many tasks. The rows of its tasks are written when they can run soon. Their ids and numbers
-- are reserved when the job is submitted: task `index` (from 1) has the id `first_id + index - 1`.
CREATE TABLE job (
    id              BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    group_id        BIGINT   NOT NULL,
    creator_id      BIGINT   NOT NULL,
    name            TEXT,
    labels          JSONB    NOT NULL,
    priority        INTEGER  NOT NULL,
    blueprint       TEXT     NOT NULL,              -- the task and its parameters, as JSON
    size            BIGINT   NOT NULL CHECK (size > 0),
    first_id        BIGINT   NOT NULL,
    first_number    BIGINT   NOT NULL,
    written         BIGINT   NOT NULL,              -- tasks that have a row; the first ones
    paused          BOOLEAN  NOT NULL DEFAULT FALSE,
    skipped         JSONB,                          -- tasks to write as cancelled: ranges of indices
    stop_cause      SMALLINT,                       -- no task is written any more: why
    stop_job_id     BIGINT,                         -- the dependency that was not met
    unmet           BIGINT   NOT NULL DEFAULT 0,    -- dependencies that are not met yet
    start_after     BIGINT,
    expires_at      BIGINT,
    max_running     BIGINT,
    max_failures    BIGINT,
    retry           JSON,                           -- when tasks get further attempts
    submission_key  TEXT,                           -- the idempotency key of the submission
    created_at      BIGINT   NOT NULL,
    updated_at      BIGINT   NOT NULL,
    ended_at        BIGINT
) WITH (fillfactor = 70);
CREATE INDEX job_by_group ON job (group_id, id);
CREATE INDEX job_by_creator ON job (creator_id, id);
CREATE INDEX job_by_name ON job (group_id, name, id) WHERE name IS NOT NULL;
CREATE INDEX job_active ON job (id) WHERE ended_at IS NULL;

-- How many written tasks of a job are in each state: the sum over all shards. A single shard may be negative. Concurrent
-- transactions use different shards, so that they rarely wait for each other.
CREATE TABLE job_count (
    job_id    BIGINT   NOT NULL,
    shard     SMALLINT NOT NULL,
    waiting   BIGINT   NOT NULL,
    running   BIGINT   NOT NULL,
    succeeded BIGINT   NOT NULL,
    failed    BIGINT   NOT NULL,
    timed_out BIGINT   NOT NULL,
    cancelled BIGINT   NOT NULL,
    PRIMARY KEY (job_id, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Jobs that a job waits for.
CREATE TABLE job_dependency (
    job_id    BIGINT   NOT NULL,
    needed_id BIGINT   NOT NULL,
    kind      SMALLINT NOT NULL,
    met       BOOLEAN  NOT NULL,
    PRIMARY KEY (job_id, needed_id)
);
CREATE INDEX job_dependency_by_needed ON job_dependency (needed_id, met);

-- Earlier attempts of a task that was retried, and attempts that were lost with their worker. The last one is in `done` or
-- `lease`.
CREATE TABLE attempt (
    task_id       BIGINT   NOT NULL,
    epoch         BIGINT   NOT NULL,
    state         SMALLINT NOT NULL,
    exit_status   INTEGER  NOT NULL,
    message       SMALLINT,
    reporter_uuid UUID,
    token         BIGINT   NOT NULL,
    claimed_at    BIGINT,
    finished_at   BIGINT   NOT NULL,
    retried_by    SMALLINT NOT NULL,                -- a user, the policy of the job, or the loss of the worker
    data          JSON,
    warnings      TEXT,
    PRIMARY KEY (task_id, epoch)
);

-- NULL for a task that was submitted on its own.
ALTER TABLE task ADD COLUMN job_id BIGINT;

-- A held row is not assigned: its job is paused, at its limit, or the next attempt is deferred until a time.
ALTER TABLE ready ADD COLUMN held BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE ready ADD COLUMN held_until BIGINT;
ALTER TABLE ready DROP CONSTRAINT ready_pkey;
ALTER TABLE ready ADD PRIMARY KEY (lane_id, held, neg_priority, task_id);
CREATE INDEX ready_held ON ready (task_id) WHERE held;
