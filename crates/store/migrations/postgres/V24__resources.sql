-- What certain tasks request of a worker, as JSON.
CREATE TABLE resource_request (
    id      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    request TEXT   NOT NULL UNIQUE
);

-- The tasks of a lane have the same request; 0 for the default one.
ALTER TABLE lane ADD COLUMN request_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE lane DROP CONSTRAINT lane_group_id_tag_set_id_creator_id_limit_set_id_key;
ALTER TABLE lane ADD UNIQUE (group_id, tag_set_id, creator_id, limit_set_id, request_id);
CREATE INDEX lane_with_request ON lane (id) WHERE request_id <> 0;

-- What a worker offers, as JSON; NULL for workers that run only tasks of the default request. And when it stops to run tasks.
ALTER TABLE worker ADD COLUMN offer TEXT;
ALTER TABLE worker ADD COLUMN ends_at BIGINT;

-- Workers that are kept free for the first task of a lane.
CREATE TABLE reservation (
    lane_id   BIGINT PRIMARY KEY,
    worker_id BIGINT NOT NULL UNIQUE,
    since     BIGINT NOT NULL
);
