//! Paths of Vault's API, put together segment by segment: what stands in a variable stays in its
//! segment, and cannot lead to another part of the API.

use std::fmt;

use url::Url;

use super::error::VaultError;

/// What follows `/v1/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ApiPath(Vec<String>);

impl ApiPath {
    /// A path that is the same everywhere.
    pub(super) fn of(path: &'static str) -> Self {
        Self(path.split('/').map(str::to_owned).collect())
    }

    /// The path of a mount, which may have several segments; slashes at its ends do not count.
    pub(super) fn mount(variable: &'static str, value: &str) -> Result<Self, VaultError> {
        Self(Vec::new()).below(variable, value)
    }

    /// A mount below this path.
    pub(super) fn below(self, variable: &'static str, mount: &str) -> Result<Self, VaultError> {
        let mut segments = mount.trim_matches('/').split('/');
        segments.try_fold(self, |path, segment| path.name(variable, segment))
    }

    /// `segment` below this path.
    pub(super) fn then(mut self, segment: &str) -> Self {
        self.0.push(segment.to_owned());
        self
    }

    /// What a variable names below this path: one segment. Vault decodes a path before it reads it,
    /// so encoding a slash or a dot would not keep it in.
    pub(super) fn name(self, variable: &'static str, value: &str) -> Result<Self, VaultError> {
        let leads_away = |c: char| "/\\%?#".contains(c) || c.is_control();
        if ["", ".", ".."].contains(&value) || value.contains(leads_away) {
            let reason = format!("`{}` is no name in a path", value.escape_debug());
            return Err(VaultError::Setting { variable, reason });
        }
        Ok(self.then(value))
    }

    /// Where it is at a server.
    pub(super) fn at(&self, base: &Url) -> Url {
        let mut url = base.clone();
        // An http URL always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(&self.0);
        }
        url
    }
}

/// As Vault's policies name it.
impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT: &str = "TFC_VAULT_BACKED_AWS_MOUNT_PATH";

    fn url(base: &str, mount: &str, role: &str) -> Result<String, VaultError> {
        let path = ApiPath::mount(MOUNT, mount)?.then("sts").name("X", role)?;
        Ok(path.at(&base.parse().unwrap()).to_string())
    }

    #[test]
    fn what_the_variables_say_is_encoded_in_its_segment() {
        for (base, mount, role, expected) in [
            (
                "https://vault:8200",
                "aws",
                "deploy",
                "https://vault:8200/v1/aws/sts/deploy",
            ),
            (
                "https://lb/vault/",
                "/team a/aws/",
                "ops@acme.com",
                "https://lb/vault/v1/team%20a/aws/sts/ops@acme.com",
            ),
            (
                "https://vault",
                "aws",
                "..a.",
                "https://vault/v1/aws/sts/..a.",
            ),
            ("https://vault", "ä", "b", "https://vault/v1/%C3%A4/sts/b"),
        ] {
            assert_eq!(url(base, mount, role).unwrap(), expected);
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused_by_the_name_of_its_variable() {
        for away in [
            "", ".", "..", "../sys", "a/../b", "a//b", "a\\b", "%2e%2e", "a?b=c", "a#b", "a\nb",
        ] {
            let error = url("https://vault", away, "role").unwrap_err().to_string();
            assert!(error.contains(MOUNT) && !error.contains('\n'), "{error}");
            url("https://vault", "aws", away).unwrap_err();
        }
        url("https://vault", "aws", "a/b").unwrap_err();
    }
}
