//! What is wrong with the token files that variables name.

use crate::doctor::{Kind, Severity};

/// It is not there.
pub const TOKEN_ABSENT: Kind = Kind {
    id: "environment-token-absent",
    severity: Severity::Error,
    title: "a token's file is not there",
    why: "The SDK finds the variable, looks for the file and stops, or goes on to another source of \
          credentials.",
    fix: "Start the command by `runmint exec`, which keeps the file while the command runs; in a pod, \
          look at its volumes with `--pod`.",
    source: "the SDK's documentation of the variable",
};

/// Its reader cannot read it.
pub const TOKEN_UNREADABLE: Kind = Kind {
    id: "environment-token-unreadable",
    severity: Severity::Error,
    title: "a token's file cannot be read by whoever needs it",
    why: "The permissions of the file, or of a folder on the way, are against it: `permission denied`. \
          Typical where a service changes its user after the start, or a container runs as another \
          user than the writer.",
    fix: "Give the reader the least that it needs: the file's ownership, or a group with mode 0640.",
    source: "IEEE Std 1003.1, section 4.7 \"File Access Permissions\"",
};

/// There is nothing in it.
pub const TOKEN_EMPTY: Kind = Kind {
    id: "environment-token-empty",
    severity: Severity::Error,
    title: "a token's file is empty",
    why: "STS answers `Member must have length greater than or equal to 4`, Kubernetes' client `read \
          empty token from file`. A redirection of the shell leaves such a file when the command \
          before it fails.",
    fix: "Write it whole or not at all: `runmint token --audience AUDIENCE --output FILE`.",
    source: "runmint, docs/runner.md",
};

/// A newline that is sent.
pub const TOKEN_NEWLINE: Kind = Kind {
    id: "environment-token-newline",
    severity: Severity::Error,
    title: "white space around a token that is sent as it stands",
    why: "AWS' and Google's libraries send the file's bytes as they are. STS does not take a token with \
          a newline for one, and says `Provided Token is not a Login With Amazon token`.",
    fix: "Write it without: `runmint token --audience AUDIENCE --output FILE`, or `printf %s \"$TOKEN\" \
          > FILE` instead of `echo`.",
    source: "botocore and google-auth, which read the file unstripped",
};

/// A newline that is taken away.
pub const TOKEN_NEWLINE_TRIMMED: Kind = Kind {
    id: "environment-token-newline-trimmed",
    severity: Severity::Warning,
    title: "white space around a token",
    why: "Kubernetes' client and azurerm take it away; not every SDK of Azure does, and other libraries \
          that read the same file do not either.",
    fix: "Write it without: `runmint token --audience AUDIENCE --output FILE`.",
    source: "client-go and azurerm, which trim what they read",
};

/// No JWT.
pub const TOKEN_FORM: Kind = Kind {
    id: "environment-token-form",
    severity: Severity::Error,
    title: "what a token's file holds is no token",
    why: "A JWT has three parts of base64url with a dot between each two, and claims with `sub`, `iat` \
          and `exp`. A JSON answer, quotes, or another kind of secret is refused by every relying \
          party.",
    fix: "Write the token and nothing else: `runmint token --audience AUDIENCE --output FILE`.",
    source: "RFC 7515 section 7.1, RFC 7519 section 4.1",
};

/// Over.
pub const TOKEN_EXPIRED: Kind = Kind {
    id: "environment-token-expired",
    severity: Severity::Error,
    title: "a token in a file has expired",
    why: "Nobody renews the file any more: the process that did has ended, or cannot reach its issuer.",
    fix: "Let `runmint exec` or `runmint agent` run for as long as the token is needed, and look at \
          what it logs; is this machine's clock right?",
    source: "RFC 7519 section 4.1.4",
};

/// From the future.
pub const TOKEN_FUTURE: Kind = Kind {
    id: "environment-token-future",
    severity: Severity::Error,
    title: "a token was made in the future",
    why: "This machine's clock is behind the issuer's, or the issuer's is ahead. GCP and Vault forgive \
          a minute, AWS five.",
    fix: "Set the clock: `timedatectl`, `chronyc tracking`; `runmint doctor issuer URL` tells by how \
          much the two differ.",
    source: "RFC 7519 sections 4.1.5 and 4.1.6",
};

/// Nobody renews it.
pub const TOKEN_STALE: Kind = Kind {
    id: "environment-token-stale",
    severity: Severity::Warning,
    title: "a token is older than it gets where somebody renews it",
    why: "runmint and Kubernetes replace a token when at most 80 % of its life have passed. This one is \
          older, so it will end soon and nothing will follow.",
    fix: "Look whether `runmint exec` or `runmint agent` still runs, and what it logs; in a pod, at the \
          kubelet's log.",
    source: "Kubernetes, \"Configure Service Accounts for Pods\": the kubelet refreshes at 80 %",
};
