//! What is found about the file and the text in it.

use crate::doctor::{Kind, Severity};

/// There is no token file.
pub const FILE_ABSENT: Kind = Kind {
    id: "token-file-absent",
    severity: Severity::Error,
    title: "there is no token file",
    why: "SDKs pass over it in silence or say that the file is not found, and try other \
        credentials.",
    fix: "Look at the path: in a container it is that of the mount. `runmint exec` and \
        `runmint agent` write the file; it is gone when they end.",
    source: "AWS SDKs, web identity credentials provider",
};

/// The token file cannot be read.
pub const FILE_CLOSED: Kind = Kind {
    id: "token-file-closed",
    severity: Severity::Error,
    title: "the token file cannot be read",
    why: "A process that is not root meets `permission denied` on a file of mode 0600 that \
        belongs to somebody else.",
    fix: "Write it for its reader: `--owner` or `--group` of `runmint token`, `exec` and \
        `agent`; in a pod `fsGroup`.",
    source: "IEEE Std 1003.1, section 4.7",
};

/// Everybody on the machine can read the token.
pub const FILE_OPEN: Kind = Kind {
    id: "token-file-open",
    severity: Severity::Warning,
    title: "everybody on the machine can read the token",
    why: "Whoever has the token is the run, until it expires.",
    fix: "`chmod o-rwx FILE`; `runmint token --output` writes 0600, or 0640 with `--group`.",
    source: "RFC 6750, section 5.3",
};

/// The file is empty.
pub const EMPTY: Kind = Kind {
    id: "token-empty",
    severity: Severity::Error,
    title: "the file is empty",
    why: "The command that should have written it has failed, or it was read between the two \
        steps of a write in place. AWS says `Member must have length greater than or equal \
        to 4`.",
    fix: "Write the token with `runmint token --output FILE`, which replaces the file as a \
        whole or not at all. Vault Agent removes the file after reading unless \
        `remove_jwt_after_reading = false`.",
    source: "AWS STS API, `WebIdentityToken`",
};

/// There is white space around the token.
pub const NEWLINE: Kind = Kind {
    id: "token-newline",
    severity: Severity::Error,
    title: "there is white space around the token",
    why: "Most SDKs send the file byte for byte. AWS then says `Provided Token is not a Login \
        With Amazon token`; Kubernetes and azurerm trim it, so it works at one and not at \
        the other.",
    fix: "Write it without a newline: `printf %s` in place of `echo`, or `runmint token \
        --output FILE`.",
    source: "botocore, `AssumeRoleWithWebIdentityProvider`; google-auth, `identity_pool`",
};

/// The token is in quotes.
pub const QUOTED: Kind = Kind {
    id: "token-quoted",
    severity: Severity::Error,
    title: "the token is in quotes",
    why: "They are sent with it, and no relying party can read it: `jq` without `-r`, or a \
        quoted value that was copied.",
    fix: "Use `jq -r`, or `runmint token`, which prints the token alone.",
    source: "RFC 7515, section 7.1",
};

/// `Bearer` stands before the token.
pub const BEARER: Kind = Kind {
    id: "token-bearer",
    severity: Severity::Error,
    title: "`Bearer` stands before the token",
    why: "That word belongs into the header `Authorization`, not into a file or a variable: \
        the SDK adds it itself where it is needed.",
    fix: "Keep the token alone, from its first `eyJ` to its end.",
    source: "RFC 6750, section 2.1",
};

/// The file begins with a byte order mark.
pub const MARK: Kind = Kind {
    id: "token-byte-order-mark",
    severity: Severity::Error,
    title: "the file begins with a byte order mark",
    why: "Three invisible bytes before the token, as Windows' editors and older PowerShell \
        write them. They are sent with it.",
    fix: "Write the file as ASCII; in PowerShell `-Encoding ascii -NoNewline`.",
    source: "RFC 7515, section 7.1",
};

/// The file is UTF-16.
pub const UTF_16: Kind = Kind {
    id: "token-utf-16",
    severity: Severity::Error,
    title: "the file is UTF-16",
    why: "Windows PowerShell writes two bytes for each character with `>` and `Out-File`. SDKs \
        read bytes, or UTF-8, and no relying party can read what they send.",
    fix: "Write the file as ASCII: `runmint token --output FILE`, or in PowerShell \
        `Set-Content -Encoding ascii -NoNewline`.",
    source: "RFC 7515, section 7.1",
};

/// The file holds JSON with the token in it.
pub const ENVELOPE: Kind = Kind {
    id: "token-envelope",
    severity: Severity::Error,
    title: "the file holds JSON with the token in it",
    why: "It is the answer of the server, and not the token: GitHub's form has it in `value`, \
        others in `token` or `access_token`.",
    fix: "Take the member out: `jq -rj .value`; or ask with `runmint token`, which prints the \
        token alone. Google's libraries can read JSON if `credential_source.format` says so.",
    source: "GitHub, OIDC in cloud providers; Google Cloud, external_account credentials",
};

/// The text is no signed token.
pub const FORM: Kind = Kind {
    id: "token-form",
    severity: Severity::Error,
    title: "the text is no signed token",
    why: "A token is three parts of base64url with a dot between them: header, claims, \
        signature. AWS says `The ID Token provided is not a valid JWT`, Azure AADSTS50027.",
    fix: "Look at where it comes from: an encrypted token has five parts, an opaque access \
        token has none, a token that was cut off lacks its end.",
    source: "RFC 7515, section 7.1",
};

/// The token is larger than any relying party takes.
pub const TOO_LONG: Kind = Kind {
    id: "token-too-long",
    severity: Severity::Error,
    title: "the token is larger than any relying party takes",
    why: "AWS takes at most 20,000 characters.",
    fix: "Put fewer and shorter claims into it.",
    source: "AWS STS API, `WebIdentityToken`",
};

/// The token is larger than 8 KiB.
pub const LONG: Kind = Kind {
    id: "token-long",
    severity: Severity::Warning,
    title: "the token is larger than 8 KiB",
    why: "Proxies and web servers refuse headers of that size, and a token travels in a header \
        to Vault, Kubernetes and Azure.",
    fix: "Put fewer and shorter claims into it.",
    source: "RFC 9110, section 5.4",
};
