//! What is found about the published keys.

use crate::doctor::{Kind, Severity};

/// There is no key set, or no key in it.
pub const NONE: Kind = Kind {
    id: "issuer-no-keys",
    severity: Severity::Error,
    title: "there is no key set, or no key in it",
    why: "No signature can be verified. AWS wants at least one key.",
    fix: "Is the server set up, and is it runmint that answers? `runmint keys list \
        --published` shows what should be there.",
    source: "RFC 7517, section 5",
};

/// There are more than eight keys.
pub const MANY: Kind = Kind {
    id: "issuer-many-keys",
    severity: Severity::Info,
    title: "there are more than eight keys",
    why: "It is no fault, but a set that only grows is one that nobody trims; some relying \
        parties keep no more than a hundred.",
    fix: "`runmint keys trim` lets old versions leave as soon as no living token needs them.",
    source: "Microsoft Entra, workload identity federation considerations; AWS IAM user guide",
};

/// There are more than a hundred keys.
pub const TOO_MANY: Kind = Kind {
    id: "issuer-too-many-keys",
    severity: Severity::Error,
    title: "there are more than a hundred keys",
    why: "AWS refuses tokens once there are more than 100 keys of a type, Entra keeps the \
        first 100 only.",
    fix: "`runmint keys trim`, or publish only what living tokens need.",
    source: "AWS IAM user guide, OIDC quotas; Microsoft Entra, workload identity federation \
        considerations",
};

/// A private key is published.
pub const PRIVATE: Kind = Kind {
    id: "issuer-key-private",
    severity: Severity::Error,
    title: "a private key is published",
    why: "Whoever has read it can sign tokens in the name of every run, for as long as anybody \
        trusts the key.",
    fix: "It has leaked: take it out, and `runmint keys rotate --emergency` (at another \
        issuer: a new key, and the old one out of the set). Relying parties that cache it \
        have to be told, as that command lists.",
    source: "RFC 7517, section 9; RFC 7518, sections 6.2.2, 6.3.2 and 6.4",
};

/// A key cannot be used.
pub const BROKEN: Kind = Kind {
    id: "issuer-key-broken",
    severity: Severity::Error,
    title: "a key cannot be used",
    why: "A member is missing or is no base64url, or the type of key is unknown. Some relying \
        parties skip such a key, others refuse the whole set.",
    fix: "Publish keys as RFC 7518 says: RSA with `n` and `e`, EC with `crv`, `x` and `y`, \
        base64url without padding.",
    source: "RFC 7518, section 6; RFC 7517, section 5",
};

/// An RSA key has fewer than 2048 bits.
pub const SMALL: Kind = Kind {
    id: "issuer-key-small",
    severity: Severity::Error,
    title: "an RSA key has fewer than 2048 bits",
    why: "It may not be used for RS256, and relying parties refuse it.",
    fix: "Make a key of 2048 bits or more; `runmint keys rotate` does.",
    source: "RFC 7518, section 3.3",
};

/// A key has no `kid`.
pub const KID_MISSING: Kind = Kind {
    id: "issuer-kid-missing",
    severity: Severity::Error,
    title: "a key has no `kid`",
    why: "AWS wants one in every key, and Entra and GCP find the key of a token by it alone.",
    fix: "Publish each key with a `kid`, and name it in the header of the tokens.",
    source: "RFC 7517, section 4.5; AWS STS as measured",
};

/// Two keys have the same `kid`.
pub const KID_TWICE: Kind = Kind {
    id: "issuer-kid-twice",
    severity: Severity::Error,
    title: "two keys have the same `kid`",
    why: "Which of them counts differs: AWS takes the later one, others the first. Tokens of \
        the other key fail, with nothing to see in them.",
    fix: "Give each key a `kid` of its own; the RFC 7638 thumbprint cannot be given twice.",
    source: "RFC 7517, section 4.5",
};

/// A `kid` is not the thumbprint of its key.
pub const KID_NOT_THUMBPRINT: Kind = Kind {
    id: "issuer-kid-not-thumbprint",
    severity: Severity::Info,
    title: "a `kid` is not the thumbprint of its key",
    why: "Nothing asks for it. Where it is so, a `kid` that belongs to another key shows at \
        once; that confusion cannot be seen here.",
    fix: "Nothing, if the issuer names its keys in another way.",
    source: "RFC 7638",
};

/// A key is not for signatures.
pub const USE: Kind = Kind {
    id: "issuer-key-use",
    severity: Severity::Error,
    title: "a key is not for signatures",
    why: "With another `use` than `sig` AWS refuses tokens of the key, and libraries skip it.",
    fix: "Publish `\"use\":\"sig\"`.",
    source: "RFC 7517, section 4.2; AWS STS as measured",
};

/// A key has `key_ops`.
pub const OPERATIONS: Kind = Kind {
    id: "issuer-key-ops",
    severity: Severity::Error,
    title: "a key has `key_ops`",
    why: "AWS refuses tokens of a key with any `key_ops`, even `[\"verify\"]`; GCP does not \
        take such a key as an uploaded one.",
    fix: "Leave `key_ops` out; `\"use\":\"sig\"` says the same.",
    source: "AWS STS as measured; Google Cloud IAM API, `jwksJson`",
};

/// A key has members of a certificate.
pub const CERTIFICATES: Kind = Kind {
    id: "issuer-key-certificates",
    severity: Severity::Warning,
    title: "a key has members of a certificate",
    why: "AWS refuses tokens of a key whose `x5c` does not agree with `n` and `e`; GCP \
        documents `x5c` and `x5t` as unsupported in an uploaded key set.",
    fix: "Leave `x5c`, `x5t`, `x5t#S256` and `x5u` out: nothing needs them here.",
    source: "AWS STS as measured; Google Cloud, Troubleshoot Workload Identity Federation",
};

/// A key has members that nobody asks for.
pub const MEMBERS: Kind = Kind {
    id: "issuer-key-members",
    severity: Severity::Info,
    title: "a key has members that nobody asks for",
    why: "Unknown members are to be ignored. GCP takes only `kty`, `alg`, `use`, `kid`, `n`, \
        `e`, `crv`, `x` and `y` in an uploaded key set.",
    fix: "Leave them out, if the key set is uploaded somewhere.",
    source: "RFC 7517, section 5; Google Cloud IAM API, `jwksJson`",
};

/// Not every relying party takes the algorithm of a key.
pub const ALGORITHM: Kind = Kind {
    id: "issuer-key-algorithm",
    severity: Severity::Warning,
    title: "not every relying party takes the algorithm of a key",
    why: "A relying party that does not know the algorithm refuses tokens of this key, mostly \
        without naming the reason.",
    fix: "Set `keys.algorithm` to `RS256`, which all of them take, and rotate, unless you need \
        none of those that refuse.",
    source: "AWS STS API; Microsoft Entra, workload identity federation considerations; Google \
        Cloud IAM; Kubernetes, OIDC authenticator",
};
