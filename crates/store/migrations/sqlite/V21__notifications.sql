-- What to send when a job ends.
CREATE TABLE job_notify (
    job_id    INTEGER NOT NULL REFERENCES job (id),
    position  INTEGER NOT NULL,
    url       TEXT    NOT NULL,
    origin    TEXT    NOT NULL,                -- scheme, host and port of the URL
    condition INTEGER NOT NULL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;

-- Requests to send, and what came of them. They are written in the transaction that records the end of a job.
CREATE TABLE webhook (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id       INTEGER NOT NULL,             -- the job may be deleted
    group_id     INTEGER NOT NULL REFERENCES groups (id),
    url          TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    condition    INTEGER NOT NULL,
    event        TEXT    NOT NULL,             -- the body, as JSON
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER,                      -- NULL after the end
    outcome      INTEGER,
    last_error   TEXT,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT;
CREATE INDEX webhook_due ON webhook (next_attempt, id) WHERE next_attempt IS NOT NULL;
CREATE INDEX webhook_by_job ON webhook (job_id, id);
CREATE INDEX webhook_by_age ON webhook (created_at);

-- The keys that sign these requests.
CREATE TABLE webhook_key (
    group_id   INTEGER PRIMARY KEY REFERENCES groups (id),
    secret     TEXT    NOT NULL,
    previous   TEXT,                           -- also signs for a while after a change
    created_at INTEGER NOT NULL
) STRICT;
