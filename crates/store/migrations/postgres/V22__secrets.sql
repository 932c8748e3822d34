-- Values that tasks of a group get as variables, encrypted by the coordinator.
CREATE TABLE group_secret (
    group_id BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    key_id   TEXT   NOT NULL,                  -- the key that encrypted it
    sealed   TEXT   NOT NULL,                  -- the nonce and the ciphertext, in base64
    set_by   BIGINT NOT NULL,
    set_at   BIGINT NOT NULL,
    PRIMARY KEY (group_id, name)
);
