-- Two limits of silence. After `missed_after` microseconds a worker gets no new tasks; after `lease` its tasks are
-- given to others.
ALTER TABLE worker_session ADD COLUMN missed_after INTEGER NOT NULL DEFAULT 600000000;
UPDATE worker_session SET missed_after = lease;

-- The limit of silence that it asked for, in microseconds; the machine that it runs on, and the boot.
ALTER TABLE worker ADD COLUMN lost_after INTEGER;
ALTER TABLE worker ADD COLUMN machine TEXT;
ALTER TABLE worker ADD COLUMN boot TEXT;
CREATE INDEX worker_by_machine ON worker (machine) WHERE machine IS NOT NULL;

-- The limit of silence of a task, in microseconds; 0 where it may run twice at once. Copied to each attempt.
ALTER TABLE task ADD COLUMN lost_after INTEGER;
ALTER TABLE lease ADD COLUMN lost_after INTEGER;
CREATE INDEX lease_with_limit ON lease (worker_id) WHERE lost_after IS NOT NULL;

-- Workers that must not register again, and why. They are deleted in the order of time.
CREATE TABLE worker_gone (
    uuid   BLOB    PRIMARY KEY,
    reason INTEGER NOT NULL,
    at     INTEGER NOT NULL
);
CREATE INDEX worker_gone_by_time ON worker_gone (at);

-- When a coordinator last watched over the leases, and by how much their time is behind the wall clock, in
-- microseconds. `lease_until` and `overdue_at` are in the time of leases.
CREATE TABLE lease_clock (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    seen_at INTEGER NOT NULL,
    lag     INTEGER NOT NULL
);
INSERT INTO lease_clock (id, seen_at, lag) SELECT 1, coalesce(max(last_heartbeat), 0), 0 FROM worker_session;
