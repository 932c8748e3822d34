-- What to send when a job ends.
CREATE TABLE job_notify (
    job_id    BIGINT   NOT NULL,
    position  BIGINT   NOT NULL,
    url       TEXT     NOT NULL,
    origin    TEXT     NOT NULL,               -- scheme, host and port of the URL
    condition SMALLINT NOT NULL,
    PRIMARY KEY (job_id, position)
);

-- Requests to send, and what came of them. They are written in the transaction that records the end of a job.
CREATE TABLE webhook (
    id           BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job_id       BIGINT   NOT NULL,            -- the job may be deleted
    group_id     BIGINT   NOT NULL,
    url          TEXT     NOT NULL,
    origin       TEXT     NOT NULL,
    condition    SMALLINT NOT NULL,
    event        TEXT     NOT NULL,            -- the body, as JSON
    attempts     BIGINT   NOT NULL DEFAULT 0,
    next_attempt BIGINT,                       -- NULL after the end
    outcome      SMALLINT,
    last_error   TEXT,
    created_at   BIGINT   NOT NULL,
    ended_at     BIGINT
);
CREATE INDEX webhook_due ON webhook (next_attempt, id) WHERE next_attempt IS NOT NULL;
CREATE INDEX webhook_by_job ON webhook (job_id, id);
CREATE INDEX webhook_by_age ON webhook (created_at);

-- The keys that sign these requests.
CREATE TABLE webhook_key (
    group_id   BIGINT PRIMARY KEY,
    secret     TEXT   NOT NULL,
    previous   TEXT,                           -- also signs for a while after a change
    created_at BIGINT NOT NULL
);
