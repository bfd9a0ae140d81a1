//! What is wrong with the variables of AWS' SDKs.

use crate::doctor::{Kind, Severity};

const SDK_GUIDE: &str = "AWS SDKs and Tools reference guide, \"Assume role credential provider\" \
                         and \"Environment variables\"";

/// Only one of the two variables.
pub const AWS_HALF: Kind = Kind {
    id: "environment-aws-half",
    severity: Severity::Error,
    title: "only one of `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` is set",
    why: "The SDKs exchange a token for a role's credentials only when both are there. With one of \
          them some say `role ARN is not set`, others pass on in silence to the next source, \
          often the node's own role.",
    fix: "Set both: the role to become, and the file in which the token is. `runmint exec` sets \
          both; in an EKS pod the webhook does.",
    source: SDK_GUIDE,
};

/// `AWS_IAM_ROLE_ARN`.
pub const AWS_MISNAMED: Kind = Kind {
    id: "environment-aws-misnamed",
    severity: Severity::Error,
    title: "the role stands in `AWS_IAM_ROLE_ARN`, which no SDK reads",
    why: "The name is a misprint that is handed on in a widely read troubleshooting article. The \
          variable that the SDKs read is `AWS_ROLE_ARN`.",
    fix: "Rename it to `AWS_ROLE_ARN`.",
    source: SDK_GUIDE,
};

/// Static keys before the web identity.
pub const AWS_STATIC_KEYS: Kind = Kind {
    id: "environment-aws-static-keys",
    severity: Severity::Error,
    title: "static AWS keys are used in place of the token",
    why: "Nearly all SDKs look for keys in the environment first and use the token only if there are \
          none. What runs here runs as whoever the keys belong to, and nobody notices until those \
          are rotated.",
    fix: "Unset `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` in the job's \
          settings.",
    source: SDK_GUIDE,
};

/// A profile beside the web identity.
pub const AWS_PROFILE: Kind = Kind {
    id: "environment-aws-profile",
    severity: Severity::Warning,
    title: "a profile may be used in place of the token",
    why: "Whether a profile or the token's variables come first differs from SDK to SDK: a profile \
          with keys or with a `source_profile` wins in some of them.",
    fix: "Unset `AWS_PROFILE` and `AWS_DEFAULT_PROFILE`, or write `web_identity_token_file` and \
          `role_arn` into the profile itself.",
    source: SDK_GUIDE,
};

/// A role's ARN that is none.
pub const AWS_ROLE: Kind = Kind {
    id: "environment-aws-role",
    severity: Severity::Error,
    title: "`AWS_ROLE_ARN` does not name a role",
    why: "STS takes `arn:PARTITION:iam::ACCOUNT:role/NAME` only: no instance profile, no session's \
          ARN, no quotes or white space around it.",
    fix: "Copy the ARN from `aws iam get-role --role-name NAME --query Role.Arn --output text`.",
    source: "AWS STS API reference, AssumeRoleWithWebIdentity, `RoleArn`",
};

/// A session's name that STS refuses.
pub const AWS_SESSION_NAME: Kind = Kind {
    id: "environment-aws-session-name",
    severity: Severity::Error,
    title: "`AWS_ROLE_SESSION_NAME` is no name that STS takes",
    why: "A session's name has 2 to 64 characters: letters, digits and `_+=,.@-`. Any other is \
          answered with a validation error.",
    fix: "Shorten it, and write `-` for other characters; or leave it out, the SDKs make one up. \
          `runmint exec` names the session after the run.",
    source: "AWS STS API reference, AssumeRoleWithWebIdentity, `RoleSessionName`",
};

/// No region.
pub const AWS_REGION: Kind = Kind {
    id: "environment-aws-region",
    severity: Severity::Warning,
    title: "no AWS region is set",
    why: "Without a region most calls fail with `you must specify a region`, and newer SDKs cannot \
          even find STS. Terraform's provider takes it from its own configuration as well.",
    fix: "Set `AWS_REGION`, and `AWS_DEFAULT_REGION` to the same for Python and older command lines.",
    source: "AWS SDKs and Tools reference guide, \"AWS Region\"",
};

/// Two regions.
pub const AWS_REGIONS: Kind = Kind {
    id: "environment-aws-regions",
    severity: Severity::Warning,
    title: "`AWS_REGION` and `AWS_DEFAULT_REGION` differ",
    why: "Some tools read the one, some the other (Python reads `AWS_DEFAULT_REGION` only), so that \
          two steps of a job work in two regions.",
    fix: "Set both to the same region.",
    source: "AWS SDKs and Tools reference guide, \"AWS Region\"",
};

/// A Chinese role without a Chinese region.
pub const AWS_CHINA: Kind = Kind {
    id: "environment-aws-china",
    severity: Severity::Error,
    title: "a role of a Chinese region without such a region",
    why: "China is a partition of its own with its own STS. A call that goes to the endpoint of the \
          rest of the world ends in `InvalidClientTokenId`: the security token is invalid.",
    fix: "Set `AWS_DEFAULT_REGION` and `AWS_REGION` to `cn-north-1` or `cn-northwest-1`; in a pod, in \
          the container's `env`.",
    source: "AWS Knowledge Center, \"Troubleshoot an OIDC provider and IRSA in Amazon EKS\"",
};

/// A role of another partition than the region.
pub const AWS_PARTITION: Kind = Kind {
    id: "environment-aws-partition",
    severity: Severity::Error,
    title: "role and region belong to different partitions",
    why: "Roles, accounts and STS of one partition (`aws`, `aws-cn`, `aws-us-gov` …) are unknown in \
          every other.",
    fix: "Name a region of the role's partition, or the role of the region's.",
    source: "AWS General Reference, \"Amazon Resource Names\": partitions",
};

/// A word that the SDKs do not know.
pub const AWS_STS: Kind = Kind {
    id: "environment-aws-sts-endpoints",
    severity: Severity::Error,
    title: "`AWS_STS_REGIONAL_ENDPOINTS` is neither `regional` nor `legacy`",
    why: "SDKs that read the variable refuse to start with any other word.",
    fix: "Set it to `regional`, or unset it: that is the default of today's SDKs.",
    source: "AWS SDKs and Tools reference guide, \"AWS STS Regional endpoints\"",
};

/// The one endpoint of old.
pub const AWS_STS_LEGACY: Kind = Kind {
    id: "environment-aws-sts-legacy",
    severity: Severity::Warning,
    title: "STS is asked at its one global endpoint",
    why: "`legacy` sends calls to `sts.amazonaws.com` in us-east-1. Its credentials are not valid in \
          regions that have to be opted in to, and a private network often has no way there.",
    fix: "Set `AWS_STS_REGIONAL_ENDPOINTS=regional`; for EKS pods, annotate the service account with \
          `eks.amazonaws.com/sts-regional-endpoints: \"true\"`.",
    source: "AWS SDKs and Tools reference guide, \"AWS STS Regional endpoints\"",
};

/// Container credentials beside the web identity.
pub const AWS_CONTAINER: Kind = Kind {
    id: "environment-aws-container",
    severity: Severity::Warning,
    title: "two ways to AWS credentials are set up",
    why: "The token's variables come before those of a container (ECS, EKS Pod Identity), so the role \
          of the Pod Identity association is never used here.",
    fix: "Keep one: delete the Pod Identity association and recreate the pod, or take \
          `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE` away (in a pod, the service account's \
          annotation).",
    source: "Amazon EKS user guide, \"Learn how EKS Pod Identity grants pods access\"",
};

/// Container credentials, half of them.
pub const AWS_CONTAINER_HALF: Kind = Kind {
    id: "environment-aws-container-half",
    severity: Severity::Error,
    title: "the variables for container credentials contradict one another",
    why: "An authorization token is for the address in `AWS_CONTAINER_CREDENTIALS_FULL_URI`; without \
          it nobody is asked. With a relative and a full address the SDKs take the relative one, which \
          is ECS'.",
    fix: "Set `AWS_CONTAINER_CREDENTIALS_FULL_URI` and one of \
          `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` and `AWS_CONTAINER_AUTHORIZATION_TOKEN`, or none \
          of them; the agent of EKS Pod Identity sets them.",
    source: "AWS SDKs and Tools reference guide, \"Container credential provider\"",
};
