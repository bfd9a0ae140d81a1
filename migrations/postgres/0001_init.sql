-- Signing keys, one row per version. Rows stay for ever: a version and a kid are never used twice.
CREATE TABLE key_version (
    version        BIGINT  NOT NULL PRIMARY KEY,
    algorithm      TEXT    NOT NULL,
    kid            TEXT    NOT NULL UNIQUE,
    public_jwk     TEXT    NOT NULL,
    sealed_private TEXT,
    state          TEXT    NOT NULL
        CHECK (state IN ('staged', 'active', 'retiring', 'retired', 'revoked')),
    expedited      BOOLEAN NOT NULL DEFAULT FALSE,
    created_at     BIGINT  NOT NULL,
    seen_at        BIGINT,
    activated_at   BIGINT,
    deactivated_at BIGINT,
    retired_at     BIGINT,
    revoked_at     BIGINT,
    tokens_until   BIGINT  NOT NULL DEFAULT 0
);

-- One version signs, one waits: the database itself refuses a second.
CREATE UNIQUE INDEX key_version_active ON key_version (state) WHERE state = 'active';
CREATE UNIQUE INDEX key_version_staged ON key_version (state) WHERE state = 'staged';

-- What is published, among all that ever was.
CREATE INDEX key_version_published ON key_version (version)
    WHERE state IN ('staged', 'active', 'retiring');

-- The lease on changing keys, and the revision that tells replicas to load them again.
CREATE TABLE rotation (
    id               BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    lease_holder     TEXT   NOT NULL,
    lease_epoch      BIGINT NOT NULL,
    lease_expires_at BIGINT NOT NULL,
    revision         BIGINT NOT NULL
);
INSERT INTO rotation (id, lease_holder, lease_epoch, lease_expires_at, revision)
VALUES (1, '', 0, 0, 0);

CREATE TABLE client (
    name             TEXT    NOT NULL PRIMARY KEY,
    grants           TEXT    NOT NULL,
    aws_session_tags BOOLEAN NOT NULL,
    created_at       BIGINT  NOT NULL
);

-- Secrets are kept as SHA-256 in hexadecimal, never in the clear.
CREATE TABLE client_secret (
    hash       TEXT   NOT NULL PRIMARY KEY,
    client     TEXT   NOT NULL REFERENCES client (name) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX client_secret_client ON client_secret (client);

CREATE TABLE run (
    id               TEXT    NOT NULL PRIMARY KEY,
    token_hash       TEXT    NOT NULL UNIQUE,
    client           TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    organization_id  TEXT    NOT NULL,
    project_id       TEXT,
    target_id        TEXT,
    run_id           TEXT    NOT NULL,
    audiences        TEXT    NOT NULL,
    aws_session_tags BOOLEAN NOT NULL,
    opened_at        BIGINT  NOT NULL,
    expires_at       BIGINT  NOT NULL,
    closed_at        BIGINT
);
CREATE INDEX run_client ON run (client);
CREATE INDEX run_expires_at ON run (expires_at);
CREATE INDEX run_run_id ON run (run_id);

-- The audit log; only ever appended to, and dropped by age: a partition at a time. The default
-- partition is a net: an event is never lost because a partition is missing.
CREATE SEQUENCE event_id_seq;
CREATE TABLE event (
    id         BIGINT NOT NULL DEFAULT nextval('event_id_seq'),
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    request_id TEXT,
    run        TEXT,
    run_id     TEXT,
    subject    TEXT,
    audience   TEXT,
    jti        TEXT,
    kid        TEXT,
    expires_at BIGINT,
    reason     TEXT,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE INDEX event_at ON event (at);
CREATE INDEX event_jti ON event (jti) WHERE jti IS NOT NULL;
CREATE INDEX event_kid ON event (kid, expires_at) WHERE kid IS NOT NULL;
CREATE INDEX event_run_id ON event (run_id) WHERE run_id IS NOT NULL;
