-- Secrets that were drawn once for all coordinators of this database.
CREATE TABLE shared_secret (
    name   TEXT PRIMARY KEY,
    secret TEXT NOT NULL
) STRICT;
