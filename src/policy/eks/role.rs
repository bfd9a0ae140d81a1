//! AWS role ARNs, as a cluster sees them.

/// A role, and the session where that is what was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Role {
    partition: String,
    account: String,
    /// Between slashes, `/` for none; nothing if it was a session's ARN, which has lost it.
    path: Option<String>,
    name: String,
    session: Option<String>,
}

impl Role {
    /// Takes a role's ARN, or a session's.
    ///
    /// # Errors
    /// What it must look like.
    pub(super) fn parse(arn: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{arn}` is no ARN of a role; give `arn:aws:iam::ACCOUNT:role/NAME`, or a session's, as `aws \
                 sts get-caller-identity` prints it"
            )
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [arn, partition, service, "", account, resource] = parts.as_slice() else {
            return Err(wrong());
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if *arn != "arn" || !partition.starts_with("aws") || !is_account {
            return Err(wrong());
        }
        let role = |path: Option<String>, name: &str, session: Option<&str>| Self {
            partition: (*partition).to_owned(),
            account: (*account).to_owned(),
            path,
            name: name.to_owned(),
            session: session.map(str::to_owned),
        };
        match (*service, resource.split_once('/')) {
            ("iam", Some(("role", rest))) => {
                let (path, name) = match rest.rsplit_once('/') {
                    Some((path, name)) => (format!("/{path}/"), name),
                    None => ("/".to_owned(), rest),
                };
                (!name.is_empty())
                    .then(|| role(Some(path), name, None))
                    .ok_or_else(wrong)
            }
            ("sts", Some(("assumed-role", rest))) => match rest.split_once('/') {
                Some((name, session)) if !name.is_empty() && !session.is_empty() => {
                    Ok(role(None, name, Some(session)))
                }
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    /// Without its path, which a session's ARN has lost when the cluster sees it.
    pub(super) fn bare(&self) -> String {
        let Self {
            partition,
            account,
            name,
            ..
        } = self;
        format!("arn:{partition}:iam::{account}:role/{name}")
    }

    /// With its path where that is known.
    pub(super) fn arn(&self) -> String {
        match self.path.as_deref() {
            None | Some("/") => self.bare(),
            Some(path) => self.bare().replace(":role/", &format!(":role{path}")),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_path(&self) -> bool {
        self.path.as_deref().is_some_and(|path| path != "/")
    }

    pub(super) fn is_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether both are the same role: names are unique in an account, whatever their paths. Two paths
    /// that are known and differ are two roles, one of which is gone.
    pub(super) fn is(&self, other: &Self) -> bool {
        let paths_fit = match (&self.path, &other.path) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        self.bare() == other.bare() && paths_fit
    }

    /// What a name becomes in which a session stands (aws-iam-authenticator, "templates"). `{{…}}` that
    /// is not known stays as it is.
    pub(super) fn fill(&self, template: &str) -> String {
        let mut name = template.replace("{{AccountID}}", &self.account);
        if let Some(session) = &self.session {
            name = name
                .replace("{{SessionName}}", &session.replace('@', "-"))
                .replace("{{SessionNameRaw}}", session);
        }
        name
    }

    /// What an access entry without a user name calls its sessions.
    pub(super) fn session_template(&self) -> String {
        let Self {
            partition,
            account,
            name,
            ..
        } = self;
        format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
    }
}
