-- A secret has an id that names it without telling it (the first 12 digits of its hash), may expire,
-- and shows when it was last used. `issuer` is set on short-lived ones that a token of that trusted
-- issuer was exchanged for.
ALTER TABLE client_secret ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE client_secret ADD COLUMN expires_at BIGINT;
ALTER TABLE client_secret ADD COLUMN last_used_at BIGINT;
ALTER TABLE client_secret ADD COLUMN issuer TEXT;
UPDATE client_secret SET id = substr(hash, 1, 12);
CREATE INDEX client_secret_expires_at ON client_secret (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE operator (
    name         TEXT   NOT NULL PRIMARY KEY,
    access       TEXT   NOT NULL CHECK (access IN ('full', 'read')),
    created_at   BIGINT,
    last_used_at BIGINT
);

-- Whoever holds the configured admin token. It was never added, and its token is in no table: all
-- that is kept of it is when it was last used.
INSERT INTO operator (name, access) VALUES ('admin', 'full');

-- As client_secret: SHA-256 in hexadecimal, never in the clear.
CREATE TABLE operator_secret (
    hash         TEXT   NOT NULL PRIMARY KEY,
    id           TEXT   NOT NULL,
    operator     TEXT   NOT NULL REFERENCES operator (name) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX operator_secret_operator ON operator_secret (operator);
