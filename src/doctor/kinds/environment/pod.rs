//! What is wrong with a pod.

use crate::doctor::{Kind, Severity};

const IRSA: &str = "Amazon EKS user guide, \"IAM roles for service accounts\"; \
                    amazon-eks-pod-identity-webhook, README";
const AZURE: &str = "Azure Workload Identity, \"Mutating Admission Webhook\" and \"Labels and \
                     annotations\"";

/// The account that everybody has.
pub const POD_DEFAULT_ACCOUNT: Kind = Kind {
    id: "pod-default-service-account",
    severity: Severity::Warning,
    title: "the pod uses the namespace's default service account",
    why: "A role is bound to a service account. The default one is given to every pod that names none, \
          so either it has no role, or every pod of the namespace has it.",
    fix: "Create a service account for the workload and name it in the pod's `serviceAccountName`.",
    source: IRSA,
};

/// Another account than was given.
pub const POD_OTHER_ACCOUNT: Kind = Kind {
    id: "pod-other-service-account",
    severity: Severity::Error,
    title: "the pod uses another service account than the one that was given",
    why: "Annotations of a service account hold for pods of the same namespace that name it, and for no \
          other.",
    fix: "Correct `serviceAccountName` in the pod's template, or look at the service account that the \
          pod uses: `kubectl get sa NAME -n NAMESPACE -o json --show-managed-fields`.",
    source: IRSA,
};

/// No annotation.
pub const POD_PLAIN_ACCOUNT: Kind = Kind {
    id: "pod-service-account-plain",
    severity: Severity::Error,
    title: "the pod's service account names no role",
    why: "Without the annotation the webhook has nothing to do, and the pod gets neither variables nor \
          token.",
    fix: "`kubectl annotate sa NAME -n NAMESPACE eks.amazonaws.com/role-arn=ARN`, then recreate the \
          pod.",
    source: IRSA,
};

/// Created before the annotation.
pub const POD_OLDER: Kind = Kind {
    id: "pod-older-than-annotation",
    severity: Severity::Error,
    title: "the pod was created before its service account was annotated",
    why: "The webhook changes a pod only while it is created; one that runs already stays as it is.",
    fix: "Recreate it.",
    source: IRSA,
};

/// The webhook has not changed it.
pub const POD_NOT_INJECTED: Kind = Kind {
    id: "pod-not-injected",
    severity: Severity::Error,
    title: "no container was given the variables and the token",
    why: "The webhook adds them while a pod is created. It did not: the service account was annotated \
          later, the webhook was down or did not find the service account in time (it waits 100 ms), \
          or its configuration leaves out this namespace.",
    fix: "Recreate the pod. If it comes back without them, look at the webhook: `kubectl get \
          mutatingwebhookconfigurations`.",
    source: IRSA,
};

/// Another role than the account's.
pub const POD_ROLE: Kind = Kind {
    id: "pod-role-differs",
    severity: Severity::Error,
    title: "the pod has another role than its service account names now",
    why: "The webhook wrote the role when the pod was created, or found the variable set already, which \
          it never replaces.",
    fix: "Recreate the pod; where its template sets `AWS_ROLE_ARN` itself, take it out.",
    source: IRSA,
};

/// One container has them, another has not.
pub const POD_CONTAINER_WITHOUT: Kind = Kind {
    id: "pod-container-without",
    severity: Severity::Warning,
    title: "a container of the pod has no credentials",
    why: "The webhook gives them to every container but those in the annotation \
          `eks.amazonaws.com/skip-containers`; a container that was injected by another webhook later \
          has none either.",
    fix: "If it needs them, take its name out of the annotation `eks.amazonaws.com/skip-containers` and \
          recreate the pod.",
    source: IRSA,
};

/// The token's file is on no volume.
pub const POD_VOLUME: Kind = Kind {
    id: "pod-volume",
    severity: Severity::Error,
    title: "nothing is mounted where the token's file should be",
    why: "The variable names a file that no volume of the container provides: it was copied from \
          another pod, or a mount was lost on the way.",
    fix: "Leave the variables to the webhook and recreate the pod; or mount a projected volume with a \
          `serviceAccountToken` there.",
    source: IRSA,
};

/// A token for somebody else.
pub const POD_AUDIENCE: Kind = Kind {
    id: "pod-audience",
    severity: Severity::Error,
    title: "the pod's token is for another audience",
    why: "The cloud compares `aud` with what its provider or credential lists: `Incorrect token \
          audience`, AADSTS700212.",
    fix: "Ask for the audience that the cloud expects, in the volume's `serviceAccountToken` or in the \
          annotation `eks.amazonaws.com/audience`; or add the audience to the provider.",
    source: IRSA,
};

/// Too short a life.
pub const POD_EXPIRATION: Kind = Kind {
    id: "pod-token-expiration",
    severity: Severity::Error,
    title: "the token's life is shorter than Kubernetes allows",
    why: "`expirationSeconds` is 600 at least; the API server refuses the pod.",
    fix: "Set `expirationSeconds` to 600 or more; 3600 is the default.",
    source: "Kubernetes API reference, ServiceAccountTokenProjection",
};

/// No group for a user that is not root.
pub const POD_FS_GROUP: Kind = Kind {
    id: "pod-fs-group",
    severity: Severity::Warning,
    title: "not root and without `fsGroup`: up to Kubernetes 1.18 the token cannot be read",
    why: "Until 1.18 the token's file is root's alone (mode 0600) unless the pod has an `fsGroup`; since \
          1.19 the kubelet gives it to the pod's user.",
    fix: "Set `securityContext.fsGroup` of the pod to any group, e.g. 1337; or say which version the \
          cluster has: `--version-of kubernetes-cluster=1.30`.",
    source: "amazon-eks-pod-identity-webhook, README: \"non-root container user\"; Kubernetes, \
             pkg/volume/projected",
};

/// The same where the version is known.
pub const POD_UNREADABLE: Kind = Kind {
    id: "pod-token-unreadable",
    severity: Severity::Error,
    title: "the container's user cannot read the token",
    why: "Up to Kubernetes 1.18 the token's file is root's alone (mode 0600) unless the pod has an \
          `fsGroup`: `permission denied`.",
    fix: "Set `securityContext.fsGroup` of the pod to any group, e.g. 1337.",
    source: "amazon-eks-pod-identity-webhook, README: \"non-root container user\"",
};

/// Terraform Enterprise, not as root.
pub const POD_TFE: Kind = Kind {
    id: "pod-terraform-enterprise",
    severity: Severity::Error,
    title: "Terraform Enterprise runs as a user other than root, and its services cannot read the token",
    why: "Its services change their user after the start, unless the container is confined. The token's \
          file belongs to the pod's own user and `fsGroup`, so archivist and backup-restore fail with \
          `WebIdentityErr: … permission denied` and state cannot be stored.",
    fix: "Set `openshift.enabled: true` in overrides.yaml, beside the `securityContext`, and deploy again \
          (`helm upgrade`). The setting confines the container: no new privileges, all capabilities \
          dropped.",
    source: "HashiCorp Help Center, Terraform Enterprise on Kubernetes with OIDC as a non-root user; \
             terraform-enterprise-helm, templates/deployment.yaml",
};

/// No label for Azure's webhook.
pub const POD_AZURE_LABEL: Kind = Kind {
    id: "pod-azure-label",
    severity: Severity::Error,
    title: "the pod lacks the label for Azure's webhook",
    why: "Azure's webhook looks at pods with the label `azure.workload.identity/use: \"true\"` only; an \
          annotation of that name, or a label on the Deployment, does nothing.",
    fix: "Put `azure.workload.identity/use: \"true\"` among the labels of the pod's template and recreate \
          the pod.",
    source: AZURE,
};
