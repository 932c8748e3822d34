-- A schedule submits a job at the times of a cron expression.
CREATE TABLE schedule (
    id         BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    group_id   BIGINT   NOT NULL,
    creator_id BIGINT   NOT NULL,
    name       TEXT     NOT NULL,
    cron       TEXT     NOT NULL,
    zone       TEXT     NOT NULL,
    overlap    SMALLINT NOT NULL,
    catch_up   SMALLINT NOT NULL,
    paused     BOOLEAN  NOT NULL,
    blueprint  TEXT     NOT NULL,              -- the job as it was submitted, as JSON
    next_due   BIGINT,                         -- NULL while it is paused
    version    BIGINT   NOT NULL DEFAULT 0,    -- counts the changes by users
    runs       BIGINT   NOT NULL DEFAULT 0,    -- the number of the last run
    created_at BIGINT   NOT NULL,
    updated_at BIGINT   NOT NULL,
    UNIQUE (group_id, name)
);
CREATE INDEX schedule_due ON schedule (next_due, id) WHERE next_due IS NOT NULL;

-- What came of the last runs of a schedule.
CREATE TABLE schedule_run (
    schedule_id BIGINT   NOT NULL,
    number      BIGINT   NOT NULL,
    due         BIGINT   NOT NULL,
    until       BIGINT,                        -- the last of several missed times
    handled_at  BIGINT   NOT NULL,
    requested   BOOLEAN  NOT NULL,
    outcome     SMALLINT NOT NULL,
    job_id      BIGINT,                        -- the job may be deleted
    reason      TEXT,
    PRIMARY KEY (schedule_id, number)
);
