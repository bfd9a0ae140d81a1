//! What is found in the header and the claims.

use crate::doctor::{Kind, Severity};

/// No relying party takes the algorithm of the token.
pub const ALGORITHM: Kind = Kind {
    id: "token-algorithm",
    severity: Severity::Error,
    title: "no relying party takes the algorithm of the token",
    why: "Tokens are verified with public keys: `none` and the `HS…` algorithms are refused \
        everywhere, and others are unknown.",
    fix: "Let the issuer sign with RS256.",
    source: "RFC 8725, sections 3.1 and 3.2",
};

/// Not every relying party takes the algorithm of the token.
pub const ALGORITHM_RARE: Kind = Kind {
    id: "token-algorithm-rare",
    severity: Severity::Warning,
    title: "not every relying party takes the algorithm of the token",
    why: "One that does not know it refuses the token, mostly without naming the reason.",
    fix: "Set `keys.algorithm` to `RS256`, which all of them take, unless you need none of \
        those that refuse.",
    source: "AWS STS API; Microsoft Entra, workload identity federation considerations; Google \
        Cloud IAM; Kubernetes, OIDC authenticator",
};

/// The header has no `kid`.
pub const NO_KID: Kind = Kind {
    id: "token-no-kid",
    severity: Severity::Error,
    title: "the header has no `kid`",
    why: "Entra (AADSTS5002723) and GCP refuse it; AWS takes it only while a single key is \
        published.",
    fix: "Let the issuer name its key.",
    source: "RFC 7515, section 4.1.4; Microsoft Entra, AADSTS5002723",
};

/// `typ` is not `JWT`.
pub const TYPE: Kind = Kind {
    id: "token-typ",
    severity: Severity::Error,
    title: "`typ` is not `JWT`",
    why: "Entra refuses any other type (AADSTS5002727), such as `at+jwt` of an access token.",
    fix: "Let the issuer write `\"typ\":\"JWT\"`; if it is an access token, ask for an \
        identity token.",
    source: "RFC 7519, section 5.1; Microsoft Entra, AADSTS5002727",
};

/// The header has `crit`.
pub const CRITICAL: Kind = Kind {
    id: "token-crit",
    severity: Severity::Error,
    title: "the header has `crit`",
    why: "It names extensions that the receiver must understand or refuse the token; no \
        relying party understands any.",
    fix: "Let the issuer leave it out.",
    source: "RFC 7515, section 4.1.11",
};

/// The header brings its own key.
pub const KEY_IN_HEADER: Kind = Kind {
    id: "token-key-in-header",
    severity: Severity::Warning,
    title: "the header brings its own key",
    why: "`jku`, `jwk`, `x5u` and `x5c` say where the key is to be found. No relying party \
        follows them, and one that did would trust whoever wrote the token.",
    fix: "Let the issuer leave them out; the key is found by `kid` in the published set.",
    source: "RFC 8725, section 3.10",
};

/// A claim is missing that relying parties need.
pub const CLAIM_MISSING: Kind = Kind {
    id: "token-claim-missing",
    severity: Severity::Error,
    title: "a claim is missing that relying parties need",
    why: "AWS says `Missing a required claim`, GCP `invalid_grant`; Entra shows 1970 when \
        `exp` is missing.",
    fix: "Let the issuer write `iss`, `sub`, `aud`, `iat` and `exp` into each token.",
    source: "OpenID Connect Core 1.0, section 2; AWS STS API",
};

/// A claim has the wrong type.
pub const CLAIM_TYPE: Kind = Kind {
    id: "token-claim-type",
    severity: Severity::Error,
    title: "a claim has the wrong type",
    why: "`iss` and `sub` are strings, times are whole seconds: AWS refuses fractions, others \
        refuse strings. A time beyond the year 9999 is mostly one in milliseconds.",
    fix: "Let the issuer write whole seconds for times and strings for names.",
    source: "RFC 7519, section 2 (NumericDate) and section 4.1; AWS STS as measured",
};

/// `aud` is a list.
pub const AUDIENCES: Kind = Kind {
    id: "token-audiences",
    severity: Severity::Warning,
    title: "`aud` is a list",
    why: "AWS takes a list of one; of several it decides by `azp`. Azure compares one string.",
    fix: "Ask for a token for one audience alone: each relying party should have its own.",
    source: "RFC 7519, section 4.1.3; RFC 8725, section 3.12",
};

/// The token has `azp`.
pub const AZP: Kind = Kind {
    id: "token-azp",
    severity: Severity::Warning,
    title: "the token has `azp`",
    why: "Then AWS compares `:aud` of the trust policy and the provider's client ids with \
        `azp`, not with `aud`, and the policy that looks right refuses the token.",
    fix: "Let the issuer leave `azp` out, or trust its value: `:aud` for `azp`, `:oaud` for \
        `aud`.",
    source: "AWS IAM user guide, condition keys for web identity federation",
};

/// A claim has the name of a registered one in other letters.
pub const CLAIM_CASE: Kind = Kind {
    id: "token-claim-case",
    severity: Severity::Warning,
    title: "a claim has the name of a registered one in other letters",
    why: "Newer versions of Vault refuse a token with `Sub` or `AUD`, since it could be taken \
        for `sub` or `aud`.",
    fix: "Let the issuer give the claim another name.",
    source: "Vault, JWT auth method",
};

/// The subject is none of runmint's forms.
pub const SUBJECT_FORM: Kind = Kind {
    id: "token-subject-form",
    severity: Severity::Info,
    title: "the subject is none of runmint's forms",
    why: "It is not `organization:…:workspace:…:run_phase:…`, so nothing can be said about \
        organization, workspace and phase.",
    fix: "Nothing, if the token is of another issuer.",
    source: "HCP Terraform, workload identity",
};

/// The subject has characters that are not printable ASCII.
pub const SUBJECT_ASCII: Kind = Kind {
    id: "token-subject-ascii",
    severity: Severity::Error,
    title: "the subject has characters that are not printable ASCII",
    why: "A subject is ASCII; IAM policies cannot hold all others, and two texts that look \
        alike are not equal.",
    fix: "Rename the organization, project or workspace.",
    source: "OpenID Connect Core 1.0, section 2",
};

/// The subject is longer than GCP takes.
pub const SUBJECT_LONG: Kind = Kind {
    id: "token-subject-long",
    severity: Severity::Warning,
    title: "the subject is longer than GCP takes",
    why: "GCP refuses a `google.subject` of more than 127 bytes; AWS and the standard end at \
        255.",
    fix: "Map something shorter at GCP, e.g. `google.subject = \
        assertion.terraform_workspace_id`; `runmint trust gcp` does. Others are content.",
    source: "Google Cloud, Workload Identity Federation, attribute mappings",
};

/// The subject is longer than 255 bytes.
pub const SUBJECT_TOO_LONG: Kind = Kind {
    id: "token-subject-too-long",
    severity: Severity::Error,
    title: "the subject is longer than 255 bytes",
    why: "The standard and AWS end at 255 bytes, GCP at 127.",
    fix: "Shorten the name of the organization, project or workspace.",
    source: "OpenID Connect Core 1.0, section 2; AWS STS API, `SubjectFromWebIdentityToken`",
};
