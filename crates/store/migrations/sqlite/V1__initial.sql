-- The state of an embedded coordinator. Times are microseconds since 1970; sets of words are JSON
-- arrays in canonical order; enums are the numbers of `code.rs`; UUIDs are 16 bytes.

-- People and groups -----------------------------------------------------------------------------

CREATE TABLE users (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    username           TEXT    NOT NULL UNIQUE,
    password_hash      TEXT    NOT NULL,
    session            INTEGER,                     -- the generation of tokens that is valid
    admin              INTEGER NOT NULL,
    state              INTEGER NOT NULL,
    group_quota        INTEGER NOT NULL,
    group_count        INTEGER NOT NULL,
    current_sign_in_at INTEGER,
    last_sign_in_at    INTEGER,
    current_sign_in_ip TEXT,
    last_sign_in_ip    TEXT,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL
) STRICT;

-- Every user has a group of the same name, so the names of groups are the names of both.
CREATE TABLE groups (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    creator_id    INTEGER NOT NULL REFERENCES users (id),
    state         INTEGER NOT NULL,
    task_count    INTEGER NOT NULL,                 -- numbers handed out
    storage_quota INTEGER NOT NULL,
    storage_used  INTEGER NOT NULL CHECK (storage_used >= 0),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE membership (
    user_id  INTEGER NOT NULL REFERENCES users (id),
    group_id INTEGER NOT NULL REFERENCES groups (id),
    role     INTEGER NOT NULL,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_by_group ON membership (group_id);

-- One row once the first administrator was made.
CREATE TABLE bootstrap (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    done_at INTEGER NOT NULL
) STRICT;

-- Tasks -----------------------------------------------------------------------------------------

CREATE TABLE tag_set (
    id   INTEGER PRIMARY KEY,
    tags TEXT NOT NULL UNIQUE
) STRICT;

-- Tasks of one lane run on exactly the same workers.
CREATE TABLE lane (
    id         INTEGER PRIMARY KEY,
    group_id   INTEGER NOT NULL REFERENCES groups (id),
    tag_set_id INTEGER NOT NULL REFERENCES tag_set (id),
    UNIQUE (group_id, tag_set_id)
) STRICT;

-- Ids are never used twice, so that they tell the order of submission.
CREATE TABLE task (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid            BLOB    NOT NULL UNIQUE,
    group_id        INTEGER NOT NULL REFERENCES groups (id),
    number          INTEGER NOT NULL,
    creator_id      INTEGER NOT NULL REFERENCES users (id),
    lane_id         INTEGER NOT NULL REFERENCES lane (id),
    priority        INTEGER NOT NULL,
    labels          TEXT    NOT NULL,
    spec            TEXT    NOT NULL,
    timeout_seconds INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    upstream_uuid   BLOB,
    downstream_uuid BLOB
) STRICT;
CREATE INDEX task_by_group ON task (group_id, id);

CREATE TABLE label (
    id       INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL REFERENCES groups (id),
    name     TEXT    NOT NULL,
    UNIQUE (group_id, name)
) STRICT;

CREATE TABLE task_label (
    label_id INTEGER NOT NULL REFERENCES label (id),
    task_id  INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (label_id, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_label_by_task ON task_label (task_id);

-- Where a task stands: exactly one row in exactly one of the next four tables ---------------------

-- A follow-up waits for the attempt that asked for it.
CREATE TABLE pending (
    task_id          INTEGER PRIMARY KEY REFERENCES task (id),
    upstream_task_id INTEGER NOT NULL REFERENCES task (id),
    upstream_epoch   INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_by_upstream ON pending (upstream_task_id);

-- Waiting for a worker; the key is the order in which a lane is served.
CREATE TABLE ready (
    lane_id      INTEGER NOT NULL REFERENCES lane (id),
    neg_priority INTEGER NOT NULL,
    task_id      INTEGER NOT NULL UNIQUE REFERENCES task (id),
    epoch        INTEGER NOT NULL,                  -- attempts so far
    losses       INTEGER NOT NULL,                  -- attempts whose worker was lost
    queued_at    INTEGER NOT NULL,
    PRIMARY KEY (lane_id, neg_priority, task_id)
) STRICT, WITHOUT ROWID;

-- Held by a worker. Whoever deletes the row has ended the attempt.
CREATE TABLE lease (
    task_id      INTEGER PRIMARY KEY REFERENCES task (id),
    worker_id    INTEGER NOT NULL REFERENCES worker (id),
    epoch        INTEGER NOT NULL,
    token        INTEGER NOT NULL,
    losses       INTEGER NOT NULL,
    claimed_at   INTEGER NOT NULL,
    overdue_at   INTEGER NOT NULL,
    reported_end INTEGER,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_by_worker ON lease (worker_id);
CREATE INDEX lease_overdue ON lease (overdue_at) WHERE reported_end IS NULL;

-- Over; append only.
CREATE TABLE done (
    task_id            INTEGER PRIMARY KEY REFERENCES task (id),
    state              INTEGER NOT NULL,
    exit_status        INTEGER NOT NULL,
    message            INTEGER,
    reporter_uuid      BLOB,
    reporter_worker_id INTEGER,                     -- the worker's row may be gone
    epoch              INTEGER NOT NULL,
    token              INTEGER NOT NULL,
    claimed_at         INTEGER,
    finished_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX done_by_reporter ON done (reporter_uuid, task_id) WHERE reporter_uuid IS NOT NULL;

CREATE TABLE submission (
    creator_id INTEGER NOT NULL REFERENCES users (id),
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    ids        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (creator_id, key)
) STRICT, WITHOUT ROWID;

-- Workers ---------------------------------------------------------------------------------------

-- Ids are never used twice: a removed worker must not be taken for a later one.
CREATE TABLE worker (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid       BLOB    NOT NULL UNIQUE,
    creator_id INTEGER NOT NULL REFERENCES users (id),
    tags       TEXT    NOT NULL,
    labels     TEXT    NOT NULL,
    state      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE worker_group (
    worker_id INTEGER NOT NULL REFERENCES worker (id),
    group_id  INTEGER NOT NULL REFERENCES groups (id),
    role      INTEGER NOT NULL,
    PRIMARY KEY (worker_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_group_by_group ON worker_group (group_id);

CREATE TABLE worker_session (
    worker_id      INTEGER PRIMARY KEY REFERENCES worker (id),
    last_heartbeat INTEGER NOT NULL,
    lease_until    INTEGER NOT NULL
) STRICT;
CREATE INDEX worker_session_until ON worker_session (lease_until);

-- Stored objects --------------------------------------------------------------------------------

CREATE TABLE artifact (
    id         INTEGER PRIMARY KEY,
    task_id    INTEGER NOT NULL REFERENCES task (id),
    kind       INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,                    -- the attempt, or 0: uploaded by a user
    size       INTEGER NOT NULL CHECK (size >= 0),
    object     TEXT    NOT NULL,
    visible    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (task_id, kind, epoch)
) STRICT;
CREATE UNIQUE INDEX artifact_visible ON artifact (task_id, kind) WHERE visible;

CREATE TABLE attachment (
    id         INTEGER PRIMARY KEY,
    group_id   INTEGER NOT NULL REFERENCES groups (id),
    key        TEXT    NOT NULL,
    size       INTEGER NOT NULL CHECK (size >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (group_id, key)
) STRICT;

-- Objects that no record needs any more.
CREATE TABLE garbage (
    object TEXT    PRIMARY KEY,
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
