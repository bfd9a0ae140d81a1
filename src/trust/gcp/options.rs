//! What GCP alone needs to be told.

use crate::trust::TrustError;

/// What GCP alone needs to be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The project's number, by which principals are named: `123456789012`.
    pub project_number: String,
    /// The project's id, in which pool and roles are: `acme-prod`.
    pub project_id: String,
    /// The pool's id; it is for this provider alone.
    pub pool: String,
    /// The provider's id.
    pub provider: String,
    /// The service accounts' addresses: one, or where the phases are apart the plan's, then the apply's.
    pub service_accounts: Vec<String>,
    /// What the service account may do in the project; where the phases are apart, the apply's.
    pub roles: Vec<String>,
    /// Where the phases are apart: what the plan's service account may do.
    pub plan_roles: Vec<String>,
    /// The issuer's JWKS, where IAM cannot fetch it.
    pub jwks: Option<String>,
}

impl Options {
    /// The audience that the provider takes when none is listed: its full name.
    ///
    /// # Errors
    /// [`TrustError`] names the option that IAM would refuse.
    pub fn audience(&self) -> Result<String, TrustError> {
        self.check()?;
        Ok(self.full_name())
    }

    /// `//iam.googleapis.com/` and the provider's name.
    pub(super) fn full_name(&self) -> String {
        format!("//iam.googleapis.com/{}", self.provider_name())
    }

    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL`.
    pub(super) fn pool_name(&self) -> String {
        format!(
            "projects/{}/locations/global/workloadIdentityPools/{}",
            self.project_number, self.pool
        )
    }

    /// `…/providers/PROVIDER`.
    pub(super) fn provider_name(&self) -> String {
        format!("{}/providers/{}", self.pool_name(), self.provider)
    }

    /// Refuses what IAM would refuse.
    pub(super) fn check(&self) -> Result<(), TrustError> {
        let number = &self.project_number;
        if number.is_empty() || number.len() > 19 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TrustError::new(
                "--project-number",
                format!(
                    "must be the project's number, such as `123456789012`: \
                     `gcloud projects describe {} --format 'value(projectNumber)'`",
                    self.project_id
                ),
            ));
        }
        if !is_id(&self.project_id, 6, 30) {
            return Err(TrustError::new(
                "--project-id",
                "must be the project's id, such as `acme-prod`: 6 to 30 lower-case letters, digits and \
                 `-`, with a letter first",
            ));
        }
        check_pool_id("--pool", &self.pool)?;
        check_pool_id("--provider", &self.provider)?;
        for email in &self.service_accounts {
            check_email(email)?;
        }
        for role in &self.roles {
            check_role("--role", role)?;
        }
        for role in &self.plan_roles {
            check_role("--plan-role", role)?;
        }
        Ok(())
    }
}

/// Ids of pools and providers (IAM's REST reference, `workloadIdentityPoolId`).
fn check_pool_id(option: &'static str, id: &str) -> Result<(), TrustError> {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(4..=32).contains(&id.len()) || !id.bytes().all(is_allowed) || id.starts_with("gcp-") {
        return Err(TrustError::new(
            option,
            "must be 4 to 32 lower-case letters, digits and `-`, and not begin with `gcp-`",
        ));
    }
    Ok(())
}

fn check_email(email: &str) -> Result<(), TrustError> {
    let parts = email.strip_suffix(".iam.gserviceaccount.com");
    let parts = parts.and_then(|rest| rest.split_once('@'));
    match parts {
        Some((name, project)) if is_id(name, 6, 30) && is_id(project, 6, 30) => Ok(()),
        _ => Err(TrustError::new(
            "--service-account",
            format!(
                "is {email:?}; it must be the account's address, its name 6 to 30 small \
                 letters, digits and `-`, such as \
                 `terraform@acme-prod.iam.gserviceaccount.com`"
            ),
        )),
    }
}

/// Basic roles give everything, which is never least privilege.
fn check_role(option: &'static str, role: &str) -> Result<(), TrustError> {
    if ["roles/editor", "roles/owner"].contains(&role) {
        return Err(TrustError::new(
            option,
            format!("is `{role}`, which gives nearly everything; name the roles that are needed"),
        ));
    }
    let is_named = role.starts_with("roles/")
        || ((role.starts_with("projects/") || role.starts_with("organizations/"))
            && role.contains("/roles/"));
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
    if !is_named || !role.bytes().all(is_allowed) {
        return Err(TrustError::new(
            option,
            format!("is {role:?}; it must be a role such as `roles/storage.objectViewer`"),
        ));
    }
    Ok(())
}

/// A letter first, then letters, digits and `-`, none at the end (Resource Manager's REST reference,
/// `projectId`; IAM's, `accountId`).
fn is_id(id: &str, shortest: usize, longest: usize) -> bool {
    (shortest..=longest).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('-')
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
