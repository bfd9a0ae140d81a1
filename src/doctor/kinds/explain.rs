//! What `explain` finds.

use crate::doctor::{Kind, Severity};

/// All of them.
pub const ALL: &[&Kind] = &[
    &UNKNOWN_TOKEN,
    &UNKNOWN_RUN,
    &NOTHING_MINTED,
    &REFUSED,
    &REFUSED_BEFORE,
    &RUN_ENDED,
    &EXPIRED,
    &KEY_GONE,
    &WITHHELD,
    &CLAIMS_UNKNOWN,
    &CALL_FAILED,
    &AMBIGUOUS,
    &OTHER_ISSUER,
    &OTHER_RUN,
    &USED_AFTER_END,
];

const AUDIT: &str = "runmint, docs/operations.md: the audit log";
const CLOUDTRAIL: &str =
    "AWS IAM user guide, \"Logging IAM and AWS STS API calls with AWS CloudTrail\"";

/// No record of a token.
pub const UNKNOWN_TOKEN: Kind = Kind {
    id: "explain-unknown-token",
    severity: Severity::Error,
    title: "this issuer has no record of such a token",
    why: "No token leaves before its record is written. So either the record is older than \
          `events.keep` and was dropped, or this server is not the one that minted it, or the token \
          was signed by somebody who has a copy of a signing key.",
    fix: "Ask the server of the environment that the token is from (`--admin-url`). If it is this one and \
          the record cannot have been dropped, take the key for stolen: `runmint keys rotate \
          --emergency`, and follow what it prints.",
    source: AUDIT,
};

/// No record of a run.
pub const UNKNOWN_RUN: Kind = Kind {
    id: "explain-unknown-run",
    severity: Severity::Error,
    title: "this issuer has no record of such a run",
    why: "Neither a run nor an event has this id: it was never opened here, or so long ago that its \
          records were dropped.",
    fix: "`runmint runs list` and `runmint events` show what there is; `--admin-url` names the server.",
    source: AUDIT,
};

/// A run without tokens.
pub const NOTHING_MINTED: Kind = Kind {
    id: "explain-nothing-minted",
    severity: Severity::Warning,
    title: "the run has been given no token",
    why: "The job never asked, or its requests did not reach this server; a refusal would be on record.",
    fix: "In the job: `runmint exec -- runmint doctor environment` says whether RUNMINT_REQUEST_URL and \
          RUNMINT_REQUEST_TOKEN are there, `runmint token --audience AUDIENCE` whether the server answers.",
    source: AUDIT,
};

/// A refusal that was the last word.
pub const REFUSED: Kind = Kind {
    id: "explain-refused",
    severity: Severity::Error,
    title: "a request was refused",
    why: "The reason is what the audit log holds; the caller was told less.",
    fix: "Open the run for the audience, or let the client's grants cover what it asks for: `runmint \
          clients list`, `runmint clients update`.",
    source: AUDIT,
};

/// A refusal that was followed by a token.
pub const REFUSED_BEFORE: Kind = Kind {
    id: "explain-refused-before",
    severity: Severity::Info,
    title: "a request was refused, and a later one was not",
    why: "The same audience was minted for afterwards, so whatever was in the way is gone.",
    fix: "Nothing is to be done.",
    source: AUDIT,
};

/// Over.
pub const RUN_ENDED: Kind = Kind {
    id: "explain-run-ended",
    severity: Severity::Info,
    title: "the run has ended",
    why: "It mints nothing any more; tokens that it was given before live until they expire.",
    fix: "If the job still runs, open the run for longer (`runmint runs open --expires-in`), and close it only \
          when the job is over.",
    source: "runmint, docs/runner.md",
};

/// The token is over.
pub const EXPIRED: Kind = Kind {
    id: "explain-token-expired",
    severity: Severity::Info,
    title: "the token's life is over",
    why: "Relying parties refuse it: AWS says `Token expired`, Azure AADSTS700024. What was obtained with \
          it may live on.",
    fix: "Ask for a new one; `runmint exec` does so by itself in time.",
    source: "RFC 7519 section 4.1.4",
};

/// A living token whose key is not published.
pub const KEY_GONE: Kind = Kind {
    id: "explain-key-gone",
    severity: Severity::Error,
    title: "the key that signed the token is no longer published",
    why: "It was withdrawn while the token lived. Relying parties that fetch the keys now refuse the \
          token (`Couldn't retrieve verification key`, `Token signature invalid`, AADSTS7000272); \
          Kubernetes and Vault keep it until a token fails.",
    fix: "Ask for a new token, which the active key signs. `runmint keys exposure VERSION` says what the \
          withdrawn key can still be used for.",
    source: "runmint, docs/operations.md: emergencies",
};

/// Recorded, but not handed out.
pub const WITHHELD: Kind = Kind {
    id: "explain-withheld",
    severity: Severity::Error,
    title: "the token was recorded and withheld",
    why: "Its signature did not verify against the published keys, so it never left the server. That is \
          an alarm: memory or a key is damaged.",
    fix: "Look at the server's log at that time, then rotate: `runmint keys rotate`.",
    source: AUDIT,
};

/// Claims that no record has.
pub const CLAIMS_UNKNOWN: Kind = Kind {
    id: "explain-claims-unknown",
    severity: Severity::Info,
    title: "the policy asks for a claim that the audit log does not hold",
    why: "The log has the subject, the audience and the run's id. Ids of the organization, project and \
          workspace are in the token only, so a condition on them counts as failed here.",
    fix: "Hold the token itself against the policy: `runmint doctor policy --token FILE --policy FILE`.",
    source: AUDIT,
};

/// AWS says no.
pub const CALL_FAILED: Kind = Kind {
    id: "explain-call-failed",
    severity: Severity::Error,
    title: "AWS refused the call",
    why: "The token itself was good: one that cannot be validated leaves no event. What said no is the \
          role's trust policy, or a limit of the call.",
    fix: "Give the role's trust policy as `--policy`: `aws iam get-role --role-name NAME > role.json`.",
    source: CLOUDTRAIL,
};

/// Several tokens fit.
pub const AMBIGUOUS: Kind = Kind {
    id: "explain-ambiguous",
    severity: Severity::Warning,
    title: "several tokens may have been the one that was shown",
    why: "CloudTrail does not record a token's id. Several of this subject and audience were alive at \
          that time; the one that was minted last before the call is the likeliest.",
    fix: "Name sessions after their runs, as `runmint exec` does: `AWS_ROLE_SESSION_NAME=terraform-run-…`.",
    source: CLOUDTRAIL,
};

/// Somebody else's token.
pub const OTHER_ISSUER: Kind = Kind {
    id: "explain-other-issuer",
    severity: Severity::Warning,
    title: "the call was made with another issuer's token",
    why: "The identity provider in the event is of another issuer URL than this server's, so its audit log \
          has nothing to say about it.",
    fix: "Ask that issuer, or name this one's URL: `--issuer`, or `issuer.url` in the settings.",
    source: CLOUDTRAIL,
};

/// The session is named after another run.
pub const OTHER_RUN: Kind = Kind {
    id: "explain-other-run",
    severity: Severity::Warning,
    title: "the session is named after a run that was given no such token",
    why: "A session's name is the caller's own choice. A token of one run was used under another run's \
          name, or the record of the named run's token was dropped.",
    fix: "Look at both runs: `runmint explain --run ID`. A trust policy can insist on the name by \
          `sts:RoleSessionName`.",
    source: CLOUDTRAIL,
};

/// A token outlived its run.
pub const USED_AFTER_END: Kind = Kind {
    id: "explain-used-after-end",
    severity: Severity::Warning,
    title: "the token was used after its run had ended",
    why: "A token lives until it expires, whoever holds it; the end of a run ends only the minting. A job \
          that works on after that, or a copy of the token, looks like this.",
    fix: "Close the run when the job is over, keep tokens short (`max_ttl` of the client's grants), and look at what the \
          session did in CloudTrail.",
    source: CLOUDTRAIL,
};
