-- Uploads by users that may still come. As long as one of an object may, its record holds the largest size that was
-- announced; then the record is brought to what is stored.
CREATE TABLE expected_upload (
    object  TEXT    NOT NULL,
    nonce   BIGINT  NOT NULL,
    size    BIGINT  NOT NULL,
    -- Its link stores nothing where an object is.
    creates BOOLEAN NOT NULL,
    -- When it has come, or can't come any more.
    until   BIGINT  NOT NULL,
    PRIMARY KEY (object, nonce)
);
CREATE INDEX expected_upload_until ON expected_upload (until);
