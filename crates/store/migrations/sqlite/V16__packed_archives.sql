-- Objects in the object store that contain many archives, one after another. The row is there before the object is
-- written, and is deleted with the last archive: no object that has a row is garbage. Ids are never used twice, since
-- the coordinator that writes an object knows it by its id.
CREATE TABLE packed_object (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    object     TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    live_count INTEGER NOT NULL,                    -- archives in it that are not deleted
    live_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
-- Objects that are mostly empty, or were never filled.
CREATE INDEX packed_object_sparse ON packed_object (id) WHERE size > live_bytes * 4;

-- Where an archive with place 2 is; its length is artifact.size. No foreign key to artifact: whoever deletes an artifact
-- has to read this row to count it out of its object.
CREATE TABLE packed_archive (
    artifact_id INTEGER PRIMARY KEY,
    packed_id   INTEGER NOT NULL REFERENCES packed_object (id),
    byte_offset INTEGER NOT NULL
) STRICT;
CREATE INDEX packed_archive_by_object ON packed_archive (packed_id, byte_offset);

-- The number and the bytes of the rows of inline_archive. Counting them would read the whole table.
CREATE TABLE inline_total (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    archives INTEGER NOT NULL,
    bytes    INTEGER NOT NULL
) STRICT;
INSERT INTO inline_total SELECT 1, count(*), coalesce(sum(length(bytes)), 0) FROM inline_archive;
CREATE TRIGGER inline_archive_inserted AFTER INSERT ON inline_archive BEGIN
    UPDATE inline_total SET archives = archives + 1, bytes = bytes + length(NEW.bytes);
END;
CREATE TRIGGER inline_archive_deleted AFTER DELETE ON inline_archive BEGIN
    UPDATE inline_total SET archives = archives - 1, bytes = bytes - length(OLD.bytes);
END;
