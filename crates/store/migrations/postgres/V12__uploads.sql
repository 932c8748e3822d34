-- When an object that nothing needs is looked at next: links to it may still work.
ALTER TABLE garbage ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX garbage_due ON garbage (due, object);

-- Links that have been used, until they end by themselves.
CREATE TABLE used_link (
    digest BYTEA  PRIMARY KEY,
    until  BIGINT NOT NULL
);
