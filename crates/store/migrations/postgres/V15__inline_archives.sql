-- Where the bytes of an archive are: 0 in the object store, 1 in inline_archive.
ALTER TABLE artifact ADD COLUMN place SMALLINT NOT NULL DEFAULT 0;

-- Small archives, stored in the transaction that ends their attempt. They are compressed already.
CREATE TABLE inline_archive (
    artifact_id BIGINT PRIMARY KEY REFERENCES artifact (id) ON DELETE CASCADE,
    bytes       BYTEA  NOT NULL
);
ALTER TABLE inline_archive ALTER COLUMN bytes SET STORAGE EXTERNAL;
