CREATE TABLE personal_token (
    id         BIGINT   PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    user_id    BIGINT   NOT NULL REFERENCES users (id),
    name       TEXT     NOT NULL,
    digest     BYTEA    NOT NULL UNIQUE,            -- SHA-256
    scope      SMALLINT NOT NULL,
    created_at BIGINT   NOT NULL,
    expires_at BIGINT
);
CREATE INDEX personal_token_by_user ON personal_token (user_id);

-- What administrators did, and who logged in; append only.
CREATE TABLE audit (
    id      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    address TEXT
);
