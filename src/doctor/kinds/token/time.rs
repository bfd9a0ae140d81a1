//! What is found about the times.

use crate::doctor::{Kind, Severity};

/// The token has expired.
pub const EXPIRED: Kind = Kind {
    id: "token-expired",
    severity: Severity::Error,
    title: "the token has expired",
    why: "Every relying party refuses it: AWS five minutes later, Kubernetes at once. The \
        process read it long ago, or nobody writes a new one.",
    fix: "Ask for a new one. What runs longer than a token lives needs `runmint exec` or \
        `runmint agent`, which keep the file fresh, and an SDK that reads the file again; \
        azurerm reads it once, so give it the request URL (`ARM_OIDC_REQUEST_URL`).",
    source: "RFC 7519, section 4.1.4",
};

/// The token expires within a minute.
pub const ENDS_SOON: Kind = Kind {
    id: "token-ends-soon",
    severity: Severity::Warning,
    title: "the token expires within a minute",
    why: "A login that takes a moment, or a clock that is ahead, comes too late; GCP answers a \
        token of a second with an error of its own.",
    fix: "Ask for a new one when four fifths of its life are over; `runmint exec` and `runmint \
        agent` do.",
    source: "RFC 7519, section 4.1.4",
};

/// The token is not valid yet.
pub const NOT_YET: Kind = Kind {
    id: "token-not-yet",
    severity: Severity::Error,
    title: "the token is not valid yet",
    why: "`nbf` or `iat` is ahead of this machine's clock, so one of the two clocks is wrong. \
        AWS allows five minutes, GCP, Vault and Kubernetes one; of Azure no such allowance \
        is known.",
    fix: "Synchronize the clocks of the issuer and of this machine (`timedatectl`, `chronyc \
        tracking`); `runmint doctor issuer` compares them.",
    source: "RFC 7519, section 4.1.5 and section 4.1.6",
};

/// The token was issued more than a day ago.
pub const OLD: Kind = Kind {
    id: "token-old",
    severity: Severity::Error,
    title: "the token was issued more than a day ago",
    why: "AWS refuses it as `Token too old`, whatever its `exp` says.",
    fix: "Ask for a new one for each run.",
    source: "AWS STS, `Token too old`",
};

/// The token lives for more than a day.
pub const LIVES_LONG: Kind = Kind {
    id: "token-lives-long",
    severity: Severity::Warning,
    title: "the token lives for more than a day",
    why: "Whoever gets hold of it is the run for as long, and it cannot be called back. AWS \
        refuses it after a day or so.",
    fix: "Ask for minutes, at most for the time of the run (`ttl`, `max_ttl`).",
    source: "RFC 8725, section 3.9; AWS STS, `Token too old`",
};

/// The token lives for more than 48 hours.
pub const LIVES_TOO_LONG: Kind = Kind {
    id: "token-lives-too-long",
    severity: Severity::Error,
    title: "the token lives for more than 48 hours",
    why: "Google asks for less than 48 hours between `iat` and `exp`, and AWS refuses tokens \
        that are as old.",
    fix: "Ask for minutes, at most for the time of the run (`ttl`, `max_ttl`).",
    source: "Google Security Token Service API, `subjectToken`",
};

/// `exp` is not after `iat`.
pub const ORDER: Kind = Kind {
    id: "token-times-order",
    severity: Severity::Error,
    title: "`exp` is not after `iat`",
    why: "Such a token was never valid.",
    fix: "Look at the clock and the settings of the issuer.",
    source: "RFC 7519, section 4.1",
};
