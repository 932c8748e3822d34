-- Values that tasks of a group get as variables, encrypted by the coordinator.
CREATE TABLE group_secret (
    group_id INTEGER NOT NULL REFERENCES groups (id),
    name     TEXT    NOT NULL,
    key_id   TEXT    NOT NULL,                 -- the key that encrypted it
    sealed   TEXT    NOT NULL,                 -- the nonce and the ciphertext, in base64
    set_by   INTEGER NOT NULL REFERENCES users (id),
    set_at   INTEGER NOT NULL,
    PRIMARY KEY (group_id, name)
) STRICT, WITHOUT ROWID;
