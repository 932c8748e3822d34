-- Where the bytes of an archive are: 0 in the object store, 1 in inline_archive.
ALTER TABLE artifact ADD COLUMN place INTEGER NOT NULL DEFAULT 0;

-- Small archives, stored in the transaction that ends their attempt.
CREATE TABLE inline_archive (
    artifact_id INTEGER PRIMARY KEY REFERENCES artifact (id) ON DELETE CASCADE,
    bytes       BLOB    NOT NULL
) STRICT;
