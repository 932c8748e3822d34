-- What certain tasks request of a worker, as JSON.
CREATE TABLE resource_request (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT    NOT NULL UNIQUE
) STRICT;

-- The tasks of a lane have the same request; 0 for the default one.
CREATE TABLE new_lane (
    id           INTEGER PRIMARY KEY,
    group_id     INTEGER NOT NULL REFERENCES groups (id),
    tag_set_id   INTEGER NOT NULL REFERENCES tag_set (id),
    creator_id   INTEGER NOT NULL REFERENCES users (id),
    limit_set_id INTEGER NOT NULL DEFAULT 0,
    request_id   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_id, tag_set_id, creator_id, limit_set_id, request_id)
) STRICT;
INSERT INTO new_lane (id, group_id, tag_set_id, creator_id, limit_set_id)
SELECT id, group_id, tag_set_id, creator_id, limit_set_id FROM lane;
DROP TABLE lane;
ALTER TABLE new_lane RENAME TO lane;
CREATE INDEX lane_with_request ON lane (id) WHERE request_id <> 0;

-- What a worker offers, as JSON; NULL for workers that run only tasks of the default request. And when it stops to run tasks.
ALTER TABLE worker ADD COLUMN offer TEXT;
ALTER TABLE worker ADD COLUMN ends_at INTEGER;

-- Workers that are kept free for the first task of a lane.
CREATE TABLE reservation (
    lane_id   INTEGER PRIMARY KEY,
    worker_id INTEGER NOT NULL UNIQUE,
    since     INTEGER NOT NULL
) STRICT;
