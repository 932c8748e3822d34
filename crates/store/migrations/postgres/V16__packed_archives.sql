-- Objects in the object store that contain many archives, one after another. The row is there before the object is
-- written, and is deleted with the last archive: no object that has a row is garbage.
CREATE TABLE packed_object (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    object     TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    live_count BIGINT NOT NULL,                     -- archives in it that are not deleted
    live_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
-- Objects that are mostly empty, or were never filled.
CREATE INDEX packed_object_sparse ON packed_object (id) WHERE size > live_bytes * 4;

-- Where an archive with place 2 is; its length is artifact.size. No foreign key to artifact: whoever deletes an artifact
-- has to read this row to count it out of its object.
CREATE TABLE packed_archive (
    artifact_id BIGINT PRIMARY KEY,
    packed_id   BIGINT NOT NULL REFERENCES packed_object (id),
    byte_offset BIGINT NOT NULL
);
CREATE INDEX packed_archive_by_object ON packed_archive (packed_id, byte_offset);
