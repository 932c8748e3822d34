-- The host name of a worker. The row stays after the worker, as long as an attempt names it.
CREATE TABLE worker_host (
    uuid BLOB PRIMARY KEY,
    host TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_by_reporter ON attempt (reporter_uuid) WHERE reporter_uuid IS NOT NULL;

-- The use of a site is counted from the ends of a time.
CREATE INDEX attempt_by_time ON attempt (finished_at);
