//! What is found about the issuer, its keys and the signature.

use crate::doctor::{Kind, Severity};

/// `iss` is not the issuer that was expected.
pub const ISSUER_DIFFERS: Kind = Kind {
    id: "token-issuer-differs",
    severity: Severity::Error,
    title: "`iss` is not the issuer that was expected",
    why: "It is compared byte for byte. AWS says `No OpenIDConnect provider found in your \
        account for URL`, Azure AADSTS700211; Kubernetes passes the token over.",
    fix: "Give the relying party the text that stands in `iss`, or set `issuer.url` to what it \
        was told.",
    source: "OpenID Connect Discovery 1.0, section 4.3",
};

/// The issuer's keys could not be had.
pub const KEYS_UNSEEN: Kind = Kind {
    id: "token-keys-unseen",
    severity: Severity::Error,
    title: "the issuer's keys could not be had",
    why: "The signature was not checked. A relying party that fetches them fails in the same \
        way.",
    fix: "`runmint doctor issuer URL` says what is in the way. Without a network: `--jwks \
        FILE` with what `runmint keys export` prints.",
    source: "OpenID Connect Discovery 1.0, section 4",
};

/// The key of the token is not published.
pub const KID_UNKNOWN: Kind = Kind {
    id: "token-kid-unknown",
    severity: Severity::Error,
    title: "the key of the token is not published",
    why: "AWS says `Couldn't retrieve verification key`, Azure AADSTS7000272, GCP `Error \
        connecting to the given credential's issuer`. The key was withdrawn, left the set, \
        or is not there yet; or the token is of another issuer.",
    fix: "Ask for a new token. If it has the same `kid`: is the key set at the public URL that \
        of this server, or an old copy (a CDN, a bucket, a replica on another database)? \
        `runmint keys list` shows the versions.",
    source: "RFC 7515, section 4.1.4",
};

/// Several published keys have the token's `kid`.
pub const KID_TWICE: Kind = Kind {
    id: "token-kid-twice",
    severity: Severity::Error,
    title: "several published keys have the token's `kid`",
    why: "Which of them counts differs from one relying party to the next.",
    fix: "Give each key a `kid` of its own.",
    source: "RFC 7517, section 4.5",
};

/// The published key is not for the algorithm of the token.
pub const KEY_TYPE: Kind = Kind {
    id: "token-key-type",
    severity: Severity::Error,
    title: "the published key is not for the algorithm of the token",
    why: "An RSA key cannot verify ES256, and the other way round; relying parties refuse the \
        token before they look at the signature.",
    fix: "Look at the issuer: `kid` and key are of different versions, or the key set is an \
        old copy.",
    source: "RFC 8725, section 3.1",
};

/// The signature is wrong.
pub const SIGNATURE: Kind = Kind {
    id: "token-signature",
    severity: Severity::Error,
    title: "the signature is wrong",
    why: "The key with this `kid` did not sign the token. AWS says `Token signature invalid`, \
        Azure AADSTS7000274. The token was changed or cut on the way, or `kid` and key are \
        of different versions: Terraform Enterprise once ordered versions as text, so that \
        version 9 came after 10.",
    fix: "Ask for a new token and check it again. If it fails too, hold the server's JWKS \
        against the public one: `runmint keys export` and `runmint doctor issuer URL`.",
    source: "RFC 7515, section 5.2",
};

/// Another published key has signed the token than its `kid` says.
pub const SIGNATURE_OF_ANOTHER: Kind = Kind {
    id: "token-signature-of-another",
    severity: Severity::Error,
    title: "another published key has signed the token than its `kid` says",
    why: "The issuer takes `kid` and private key from different versions: every relying party \
        refuses every token at once, since they look the key up by its `kid`. Terraform \
        Enterprise did so after its ninth rotation, because it ordered versions as text in \
        one place.",
    fix: "It is a fault of the issuer. `runmint keys list` shows which version each `kid` is; \
        rotating again gives a new key, which only helps if the cause is gone.",
    source: "RFC 7515, section 4.1.4; RFC 8725, section 3.10",
};

/// The `kid` is not the thumbprint of its key.
pub const KID_NOT_THUMBPRINT: Kind = Kind {
    id: "token-kid-not-thumbprint",
    severity: Severity::Info,
    title: "the `kid` is not the thumbprint of its key",
    why: "Nothing asks for it; runmint's always is. Where it is so, a `kid` with the wrong key \
        shows at once.",
    fix: "Nothing, if the issuer names its keys in another way.",
    source: "RFC 7638",
};

/// Which key version signed it was not asked.
pub const VERSION_UNASKED: Kind = Kind {
    id: "token-version-unasked",
    severity: Severity::Info,
    title: "which key version signed it was not asked",
    why: "The version and its state are known to the server's admin listener.",
    fix: "Run it where an operator's token is (`RUNMINT_ADMIN__TOKEN`, or the server's \
        `data_dir`), with `--admin-url` of that server.",
    source: "runmint, `GET /v1/keys`",
};

/// The admin listener does not know the token's key.
pub const VERSION_UNKNOWN: Kind = Kind {
    id: "token-version-unknown",
    severity: Severity::Warning,
    title: "the admin listener does not know the token's key",
    why: "No version of that server ever had this `kid`: the token is of another server.",
    fix: "Name the right one with `--admin-url`; if it is the right one, look for a second \
        server behind the issuer URL with a database of its own.",
    source: "runmint, `GET /v1/keys`",
};

/// The token's key has left the key set.
pub const VERSION_WITHDRAWN: Kind = Kind {
    id: "token-version-withdrawn",
    severity: Severity::Error,
    title: "the token's key has left the key set",
    why: "It was retired or withdrawn. Relying parties that look again refuse the token; those \
        that cache keys may still take it.",
    fix: "Ask for a new token. `runmint keys exposure VERSION` says what a withdrawn version \
        can still be used for.",
    source: "runmint, `GET /v1/keys`",
};

/// A key has signed that is only to be published yet.
pub const VERSION_STAGED: Kind = Kind {
    id: "token-version-staged",
    severity: Severity::Error,
    title: "a key has signed that is only to be published yet",
    why: "Relying parties may not have seen it, and refuse its tokens until they look again.",
    fix: "It should not happen: report it, with the output of `runmint keys list`.",
    source: "runmint, docs/operations.md",
};

/// An old key has signed after its successor had taken over.
pub const VERSION_OLD: Kind = Kind {
    id: "token-version-old",
    severity: Severity::Error,
    title: "an old key has signed after its successor had taken over",
    why: "A replica does not follow the rotation, or versions are ordered wrongly: as soon as \
        the old key leaves the key set, its tokens are refused everywhere.",
    fix: "Look at the replicas: each must be on the same database. `runmint keys list` shows \
        since when each version signs.",
    source: "runmint, docs/operations.md",
};

/// The token's key has a successor.
pub const VERSION_RETIRING: Kind = Kind {
    id: "token-version-retiring",
    severity: Severity::Info,
    title: "the token's key has a successor",
    why: "The keys were rotated after the token was issued. It stays published until its last \
        token is dead.",
    fix: "Nothing.",
    source: "runmint, docs/operations.md",
};
