-- Uploads by users that may still come. As long as one of an object may, its record holds the largest size that was
-- announced; then the record is brought to what is stored.
CREATE TABLE expected_upload (
    object  TEXT    NOT NULL,
    nonce   INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    -- Its link stores nothing where an object is.
    creates INTEGER NOT NULL,
    -- When it has come, or can't come any more.
    until   INTEGER NOT NULL,
    PRIMARY KEY (object, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX expected_upload_until ON expected_upload (until);
