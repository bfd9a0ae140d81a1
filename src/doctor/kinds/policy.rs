//! What `policy` finds: which part of a policy turns the token away.

use crate::doctor::{Kind, Severity};

/// A statement allows another call.
pub const ACTION: Kind = Kind {
    id: "policy-action",
    severity: Severity::Error,
    title: "The policy does not allow this call",
    why: "A trust policy allows calls by name. A web identity asks for `sts:AssumeRoleWithWebIdentity`; a \
          token that carries session tags or a source identity also needs `sts:TagSession` or \
          `sts:SetSourceIdentity`, and `sts:AssumeRole` is another call.",
    fix: "Allow `sts:AssumeRoleWithWebIdentity` in the statement for this issuer, and \
          `sts:TagSession` where the client's tokens carry tags. `runmint trust aws` writes such a statement.",
    source: "AWS, STS API reference, AssumeRoleWithWebIdentity; IAM user guide, \"Passing session tags in AWS STS\"",
};

/// The audience.
pub const AUDIENCE: Kind = Kind {
    id: "policy-audience",
    severity: Severity::Error,
    title: "The token is for another audience than the policy asks for",
    why: "A token is for one relying party, which `aud` names, so that none of them can use it at another. \
          It is compared byte for byte, at AWS first with the provider's list of client ids and then with \
          the role's policy.",
    fix: "Ask for the token with the audience that the policy names (`--audience`, or the \
          `TFC_…_WORKLOAD_IDENTITY_AUDIENCE` of the run), or name the token's audience in the policy.",
    source: "RFC 7519, section 4.1.3",
};

/// Another claim.
pub const CLAIM: Kind = Kind {
    id: "policy-claim",
    severity: Severity::Error,
    title: "A claim is not what the policy asks for",
    why: "The policy compares a claim beside issuer, audience and subject, and the token has another value \
          or no such claim. AWS and Azure compare no claims of their own choice: what a policy needs must be \
          in `sub` there.",
    fix: "Look at the token's claims with `runmint doctor token FILE`, and write the value that is there; \
          where the relying party cannot compare the claim, compare `sub`.",
    source: "RFC 7519, section 4; the relying party's guide in docs/",
};

/// A statement denies it.
pub const DENY: Kind = Kind {
    id: "policy-deny",
    severity: Severity::Error,
    title: "A statement denies the call",
    why: "At AWS one statement with the effect `Deny` that applies outweighs every one that allows. Somebody \
          has written it to keep such runs out.",
    fix: "Ask whoever wrote the statement. If this run is to be let in, take it out of the statement's \
          conditions; no other statement can.",
    source: "AWS, IAM user guide, \"Policy evaluation logic\"",
};

/// An expression.
pub const EXPRESSION: Kind = Kind {
    id: "policy-expression",
    severity: Severity::Error,
    title: "An expression of the policy does not hold for this token",
    why: "GCP's conditions and mappings, Kubernetes' rules and HCP's conditional access are expressions over \
          the claims. One that is false, or that cannot be evaluated because a claim is missing, turns the token away.",
    fix: "Compare the expression with the claims that are shown, and let it name this run's subject: closed \
          at its end, so that `prod` does not admit `prod-x`.",
    source: "GCP, \"Workload identity federation\", attribute conditions; Kubernetes, \"Authenticating\", \
             structured authentication configuration",
};

/// What the caller is called after the login.
pub const IDENTITY: Kind = Kind {
    id: "policy-identity",
    severity: Severity::Error,
    title: "The token is accepted, but the identity it becomes may do nothing",
    why: "Being let in and being allowed something are two steps: the token is right, but the user, group, \
          principal or role that it becomes is not bound to anything, or not known to the cluster at all.",
    fix: "Bind the identity that is shown: in RBAC, in `aws-auth` or an access entry, or by \
          `roles/iam.workloadIdentityUser` on the service account.",
    source: "Kubernetes, \"Using RBAC authorization\"; Amazon EKS user guide, \"Grant access to Kubernetes \
             APIs\"; GCP, \"Workload identity federation\"",
};

/// The issuer.
pub const ISSUER: Kind = Kind {
    id: "policy-issuer",
    severity: Severity::Error,
    title: "The policy trusts another issuer",
    why: "The issuer is compared as a string, byte for byte: a slash at the end, a capital, a port, `http` \
          or a missing path make it another issuer.",
    fix: "Write the token's `iss` into the policy exactly as it is. At AWS it is in the provider's ARN and in \
          the names of the condition keys as well, without `https://` and with its path.",
    source: "OpenID Connect Discovery 1.0, section 4.3; RFC 7519, section 4.1.1",
};

/// It admits more than it seems to.
pub const OPEN: Kind = Kind {
    id: "policy-open",
    severity: Severity::Warning,
    title: "The policy lets in, or gives, more than it seems to",
    why: "A policy is read by what it says, not by what was meant. A pattern that does not end where a name \
          ends admits every name that goes on from there; a condition that is not there admits everybody; a \
          powerful role gives all of them everything; and what was not given here was not looked at.",
    fix: "Write every part of the subject, and end a pattern at `:run_phase:`, for example \
          `organization:acme:project:net:workspace:prod:run_phase:*`. `runmint trust` writes closed \
          patterns. Where a part was not looked at, give it as a further `--policy`.",
    source: "AWS, IAM user guide, \"Create a role for OpenID Connect federation\"; GCP, \"Best practices for \
             using workload identity federation\"",
};

/// The subject.
pub const SUBJECT: Kind = Kind {
    id: "policy-subject",
    severity: Severity::Error,
    title: "The policy admits other subjects than this run's",
    why: "`sub` says which organization, project, workspace and phase the run is of. It is compared with \
          its case; only patterns (`StringLike`, globs) give `*` a meaning, and a renamed workspace is another subject.",
    fix: "Correct the part that is marked, on the side where it is wrong. `runmint trust` writes the subject \
          for organization, project and workspace.",
    source: "OpenID Connect Core 1.0, section 2; the relying party's guide in docs/",
};

/// It cannot be said.
pub const UNDECIDED: Kind = Kind {
    id: "policy-undecided",
    severity: Severity::Error,
    title: "The policy asks for something that is not known here",
    why: "A condition is about something that only the relying party sees (an address, a time of day, tags \
          of its own), or it is written with functions that are not evaluated here. Nothing is guessed.",
    fix: "Look at this condition yourself, or take it out for a trial; all other conditions are shown.",
    source: "docs/troubleshooting.md",
};

/// All of them.
pub const ALL: &[&Kind] = &[
    &ACTION,
    &AUDIENCE,
    &CLAIM,
    &EXPRESSION,
    &IDENTITY,
    &ISSUER,
    &OPEN,
    &SUBJECT,
    &UNDECIDED,
];
