-- A named limit of a group: how much its tasks may use at the same time. A limit without a value was removed, and lets no
-- task start.
CREATE TABLE named_limit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id   INTEGER NOT NULL REFERENCES groups (id),
    name       TEXT    NOT NULL,
    value      INTEGER CHECK (value >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (group_id, name)
) STRICT;

-- What each of certain tasks uses: pairs of a limit and a number, as JSON.
CREATE TABLE limit_set (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    uses TEXT    NOT NULL UNIQUE
) STRICT;
CREATE TABLE limit_set_use (
    set_id   INTEGER NOT NULL REFERENCES limit_set (id),
    limit_id INTEGER NOT NULL REFERENCES named_limit (id),
    uses     INTEGER NOT NULL CHECK (uses > 0),
    PRIMARY KEY (set_id, limit_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_set_use_by_limit ON limit_set_use (limit_id);

-- NULL for tasks that use no limits. How much of a limit is in use is counted from the leases.
ALTER TABLE lease ADD COLUMN limit_set_id INTEGER;
CREATE INDEX lease_by_limit_set ON lease (limit_set_id) WHERE limit_set_id IS NOT NULL;
ALTER TABLE job ADD COLUMN limit_set_id INTEGER;
ALTER TABLE job ADD COLUMN limits TEXT;             -- the names, and how much each task uses, as JSON

-- The share of slot time of a group, in relation to others; and the largest priority that members with the role Write may
-- use, NULL without a bound.
ALTER TABLE groups ADD COLUMN weight INTEGER NOT NULL DEFAULT 1 CHECK (weight > 0);
ALTER TABLE groups ADD COLUMN write_priority INTEGER;
CREATE INDEX groups_weight ON groups (id) WHERE weight <> 1;

-- The tasks of a lane have the same creator, and use the same limits; 0 for none. An existing lane gets the creator of most of
-- its tasks; the other tasks move.
CREATE TEMPORARY TABLE lane_creator AS
SELECT lane_id, creator_id, count(*) AS tasks FROM task GROUP BY lane_id, creator_id;
CREATE TABLE new_lane (
    id           INTEGER PRIMARY KEY,
    group_id     INTEGER NOT NULL REFERENCES groups (id),
    tag_set_id   INTEGER NOT NULL REFERENCES tag_set (id),
    creator_id   INTEGER NOT NULL REFERENCES users (id),
    limit_set_id INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_id, tag_set_id, creator_id, limit_set_id)
) STRICT;
INSERT INTO new_lane (id, group_id, tag_set_id, creator_id)
SELECT id, group_id, tag_set_id, coalesce(
    (SELECT c.creator_id FROM lane_creator c WHERE c.lane_id = lane.id ORDER BY c.tasks DESC, c.creator_id LIMIT 1),
    (SELECT g.creator_id FROM groups g WHERE g.id = lane.group_id))
FROM lane;
DROP TABLE lane;
ALTER TABLE new_lane RENAME TO lane;
INSERT INTO lane (group_id, tag_set_id, creator_id)
SELECT lane.group_id, lane.tag_set_id, c.creator_id
FROM lane_creator c JOIN lane ON lane.id = c.lane_id WHERE c.creator_id <> lane.creator_id;
UPDATE task SET lane_id = own.id
FROM lane before, lane own
WHERE before.id = task.lane_id AND before.creator_id <> task.creator_id
  AND own.group_id = before.group_id AND own.tag_set_id = before.tag_set_id AND own.creator_id = task.creator_id;
UPDATE ready SET lane_id = task.lane_id
FROM task WHERE task.id = ready.task_id AND ready.lane_id <> task.lane_id;
DROP TABLE lane_creator;
