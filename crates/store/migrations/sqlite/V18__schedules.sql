-- A schedule submits a job at the times of a cron expression.
CREATE TABLE schedule (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id   INTEGER NOT NULL REFERENCES groups (id),
    creator_id INTEGER NOT NULL REFERENCES users (id),
    name       TEXT    NOT NULL,
    cron       TEXT    NOT NULL,
    zone       TEXT    NOT NULL,
    overlap    INTEGER NOT NULL,
    catch_up   INTEGER NOT NULL,
    paused     INTEGER NOT NULL,
    blueprint  TEXT    NOT NULL,               -- the job as it was submitted, as JSON
    next_due   INTEGER,                        -- NULL while it is paused
    version    INTEGER NOT NULL DEFAULT 0,     -- counts the changes by users
    runs       INTEGER NOT NULL DEFAULT 0,     -- the number of the last run
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (group_id, name)
) STRICT;
CREATE INDEX schedule_due ON schedule (next_due, id) WHERE next_due IS NOT NULL;

-- What came of the last runs of a schedule.
CREATE TABLE schedule_run (
    schedule_id INTEGER NOT NULL REFERENCES schedule (id),
    number      INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    until       INTEGER,                       -- the last of several missed times
    handled_at  INTEGER NOT NULL,
    requested   INTEGER NOT NULL,
    outcome     INTEGER NOT NULL,
    job_id      INTEGER,                       -- the job may be deleted
    reason      TEXT,
    PRIMARY KEY (schedule_id, number)
) STRICT, WITHOUT ROWID;
