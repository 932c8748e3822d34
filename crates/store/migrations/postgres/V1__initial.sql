-- The state of one or more coordinators. Times are microseconds since 1970; sets of words are JSON
-- arrays in canonical order; enums are the numbers of `code.rs`.

-- People and groups -----------------------------------------------------------------------------

CREATE TABLE users (
    id                 BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    username           TEXT     NOT NULL UNIQUE,
    password_hash      TEXT     NOT NULL,
    session            BIGINT,                      -- the generation of tokens that is valid
    admin              BOOLEAN  NOT NULL,
    state              SMALLINT NOT NULL,
    group_quota        INTEGER  NOT NULL,
    group_count        INTEGER  NOT NULL,
    current_sign_in_at BIGINT,
    last_sign_in_at    BIGINT,
    current_sign_in_ip TEXT,
    last_sign_in_ip    TEXT,
    created_at         BIGINT   NOT NULL,
    updated_at         BIGINT   NOT NULL
);

-- Every user has a group of the same name, so the names of groups are the names of both.
CREATE TABLE groups (
    id            BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name          TEXT     NOT NULL UNIQUE,
    creator_id    BIGINT   NOT NULL REFERENCES users (id),
    state         SMALLINT NOT NULL,
    task_count    BIGINT   NOT NULL,                -- numbers handed out
    storage_quota BIGINT   NOT NULL,
    storage_used  BIGINT   NOT NULL CHECK (storage_used >= 0),
    created_at    BIGINT   NOT NULL,
    updated_at    BIGINT   NOT NULL
) WITH (fillfactor = 50);                           -- counted up again and again, in place

CREATE TABLE membership (
    user_id  BIGINT   NOT NULL REFERENCES users (id),
    group_id BIGINT   NOT NULL REFERENCES groups (id),
    role     SMALLINT NOT NULL,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX membership_by_group ON membership (group_id);

-- One row once the first administrator was made.
CREATE TABLE bootstrap (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    done_at BIGINT  NOT NULL
);

-- Tasks -----------------------------------------------------------------------------------------

-- A set can be longer than an index takes, so its digest is what is unique.
CREATE TABLE tag_set (
    id     BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    digest BYTEA  NOT NULL UNIQUE,
    tags   JSONB  NOT NULL
);

-- Tasks of one lane run on exactly the same workers.
CREATE TABLE lane (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    group_id   BIGINT NOT NULL REFERENCES groups (id),
    tag_set_id BIGINT NOT NULL REFERENCES tag_set (id),
    UNIQUE (group_id, tag_set_id)
);

-- Ids tell the order of submission. They are drawn before the rows are written.
CREATE SEQUENCE task_id AS BIGINT CACHE 1;

-- No references to this table from the narrow ones below: each would cost a lookup and a lock for
-- every claim and every result. The operations keep them together.
CREATE TABLE task (
    id              BIGINT  PRIMARY KEY,
    uuid            UUID    NOT NULL UNIQUE,
    group_id        BIGINT  NOT NULL,
    number          BIGINT  NOT NULL,
    creator_id      BIGINT  NOT NULL,
    lane_id         BIGINT  NOT NULL,
    priority        INTEGER NOT NULL,
    labels          JSONB   NOT NULL,
    spec            JSON    NOT NULL,
    timeout_seconds BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    upstream_uuid   UUID,
    downstream_uuid UUID
);
CREATE INDEX task_by_group ON task (group_id, id);

CREATE TABLE label (
    id       BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    group_id BIGINT NOT NULL REFERENCES groups (id),
    name     TEXT   NOT NULL,
    UNIQUE (group_id, name)
);

CREATE TABLE task_label (
    label_id BIGINT NOT NULL,
    task_id  BIGINT NOT NULL,
    PRIMARY KEY (label_id, task_id)
);
CREATE INDEX task_label_by_task ON task_label (task_id);

-- Where a task stands: exactly one row in exactly one of the next four tables ---------------------

-- A follow-up waits for the attempt that asked for it.
CREATE TABLE pending (
    task_id          BIGINT PRIMARY KEY,
    upstream_task_id BIGINT NOT NULL,
    upstream_epoch   BIGINT NOT NULL
);
CREATE INDEX pending_by_upstream ON pending (upstream_task_id);

-- Waiting for a worker; the key is the order in which a lane is served. Rows come and go all the
-- time, so what they leave behind is swept up early.
CREATE TABLE ready (
    lane_id      BIGINT  NOT NULL,
    neg_priority INTEGER NOT NULL,
    task_id      BIGINT  NOT NULL UNIQUE,
    epoch        BIGINT  NOT NULL,                  -- attempts so far
    losses       BIGINT  NOT NULL,                  -- attempts whose worker was lost
    queued_at    BIGINT  NOT NULL,
    PRIMARY KEY (lane_id, neg_priority, task_id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Held by a worker. Whoever deletes the row has ended the attempt.
CREATE TABLE lease (
    task_id      BIGINT   PRIMARY KEY,
    worker_id    BIGINT   NOT NULL,
    epoch        BIGINT   NOT NULL,
    token        BIGINT   NOT NULL,
    losses       BIGINT   NOT NULL,
    claimed_at   BIGINT   NOT NULL,
    overdue_at   BIGINT   NOT NULL,
    reported_end SMALLINT,
    updated_at   BIGINT   NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lease_by_worker ON lease (worker_id);
CREATE INDEX lease_overdue ON lease (overdue_at) WHERE reported_end IS NULL;

-- Over; append only.
CREATE TABLE done (
    task_id            BIGINT   PRIMARY KEY,
    state              SMALLINT NOT NULL,
    exit_status        INTEGER  NOT NULL,
    message            SMALLINT,
    reporter_uuid      UUID,
    reporter_worker_id BIGINT,                      -- the worker's row may be gone
    epoch              BIGINT   NOT NULL,
    token              BIGINT   NOT NULL,
    claimed_at         BIGINT,
    finished_at        BIGINT   NOT NULL
);
CREATE INDEX done_by_reporter ON done (reporter_uuid, task_id) WHERE reporter_uuid IS NOT NULL;

CREATE TABLE submission (
    creator_id BIGINT NOT NULL,
    key        TEXT   NOT NULL,
    digest     BYTEA  NOT NULL,
    ids        JSON   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (creator_id, key)
);

-- Workers ---------------------------------------------------------------------------------------

CREATE TABLE worker (
    id         BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    uuid       UUID     NOT NULL UNIQUE,
    creator_id BIGINT   NOT NULL REFERENCES users (id),
    tags       JSONB    NOT NULL,
    labels     JSONB    NOT NULL,
    state      SMALLINT NOT NULL,
    created_at BIGINT   NOT NULL,
    updated_at BIGINT   NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE worker_group (
    worker_id BIGINT   NOT NULL,
    group_id  BIGINT   NOT NULL REFERENCES groups (id),
    role      SMALLINT NOT NULL,
    PRIMARY KEY (worker_id, group_id)
);
CREATE INDEX worker_group_by_group ON worker_group (group_id);

CREATE TABLE worker_session (
    worker_id      BIGINT PRIMARY KEY,
    last_heartbeat BIGINT NOT NULL,
    lease_until    BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Stored objects --------------------------------------------------------------------------------

CREATE TABLE artifact (
    id         BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    task_id    BIGINT   NOT NULL,
    kind       SMALLINT NOT NULL,
    epoch      BIGINT   NOT NULL,                   -- the attempt, or 0: uploaded by a user
    size       BIGINT   NOT NULL CHECK (size >= 0),
    object     TEXT     NOT NULL,
    visible    BOOLEAN  NOT NULL,
    created_at BIGINT   NOT NULL,
    updated_at BIGINT   NOT NULL,
    UNIQUE (task_id, kind, epoch)
);
CREATE UNIQUE INDEX artifact_visible ON artifact (task_id, kind) WHERE visible;

CREATE TABLE attachment (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    group_id   BIGINT NOT NULL REFERENCES groups (id),
    key        TEXT   NOT NULL COLLATE "C",
    size       BIGINT NOT NULL CHECK (size >= 0),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (group_id, key)
);

-- Objects that no record needs any more.
CREATE TABLE garbage (
    object TEXT   PRIMARY KEY,
    since  BIGINT NOT NULL
);
