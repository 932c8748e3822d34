//! Artifacts and attachments: an S3-compatible service or a directory, behind one interface.
