-- Whose tokens are accepted from workloads. What is trusted is one JSON text; `issuer` is its `iss`.
CREATE TABLE trusted_issuer (
    name       TEXT   NOT NULL PRIMARY KEY,
    issuer     TEXT   NOT NULL UNIQUE,
    definition TEXT   NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Tells replicas to load them again.
CREATE TABLE federation (
    id       BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT INTO federation (id, revision) VALUES (1, 0);

-- Foreign tokens that were taken, by a hash, until they expire: none is taken twice. `taken_by` is
-- the request that took it.
CREATE TABLE taken_token (
    id         TEXT   NOT NULL PRIMARY KEY,
    taken_by   TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX taken_token_expires_at ON taken_token (expires_at);

-- The trusted issuer, by name, on whose word the client opened the run; NULL if it needed none.
ALTER TABLE run ADD COLUMN issuer TEXT;
CREATE INDEX run_issuer ON run (issuer) WHERE issuer IS NOT NULL;
