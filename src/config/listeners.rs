//! `[server.tls]`, `[server.acme]` and `[admin.tls]`: what the listeners prove themselves with.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Settings;
use super::values::{Hidden, Names};
use crate::domain::InvalidField;

/// `[server.tls]`: with neither file the listener speaks plain HTTP.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate and its chain (PEM).
    pub certificate_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
}

/// `[admin.tls]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminTlsSettings {
    /// The certificate and its chain (PEM).
    pub certificate_file: PathBuf,
    /// Its private key (PEM).
    pub key_file: PathBuf,
    /// Whoever connects needs a certificate of one of these CAs (PEM); empty: of nobody.
    pub client_ca_file: PathBuf,
}

/// `[server.acme]`: a certificate that the public listener gets by itself (RFC 8555).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AcmeSettings {
    /// The names in the certificate; none: ACME is off.
    pub domains: Names,
    /// Whether the operator agrees to the CA's terms of service.
    pub accept_terms: bool,
    /// Whom the CA writes to, as `mailto:…`; may be empty.
    pub contact: String,
    /// Where the CA's directory is.
    pub directory_url: String,
    /// The CA that the directory's own certificate is from (PEM); empty: those of the system.
    pub directory_ca_file: PathBuf,
    /// The id of an account that exists at the CA already (RFC 8555, section 7.3.4).
    pub external_account_id: String,
    /// Its key, in base64url as the CA shows it.
    pub external_account_key: Hidden,
}

impl TlsSettings {
    /// Whether the listener speaks TLS with these files.
    pub fn is_on(&self) -> bool {
        is_given(&self.certificate_file)
    }
}

impl AdminTlsSettings {
    /// Whether the listener speaks TLS.
    pub fn is_on(&self) -> bool {
        is_given(&self.certificate_file)
    }

    /// Whether it asks for a client certificate.
    pub fn asks_for_client(&self) -> bool {
        is_given(&self.client_ca_file)
    }
}

impl AcmeSettings {
    /// Whether the public listener gets its certificate itself.
    pub fn is_on(&self) -> bool {
        !self.domains.0.is_empty()
    }
}

impl Settings {
    /// Whether the public listener speaks TLS.
    pub fn public_tls(&self) -> bool {
        self.server.tls.is_on() || self.server.acme.is_on()
    }

    pub(super) fn check_listeners(&self) -> Result<(), InvalidField> {
        let (server, admin) = (&self.server.tls, &self.admin.tls);
        both("server.tls", &server.certificate_file, &server.key_file)?;
        both("admin.tls", &admin.certificate_file, &admin.key_file)?;
        if admin.asks_for_client() && !admin.is_on() {
            return Err(InvalidField::new(
                "admin.tls.client_ca_file",
                "needs `admin.tls.certificate_file` and `admin.tls.key_file`: client certificates \
                 are a part of TLS",
            ));
        }
        if self.server.acme.is_on() && server.is_on() {
            return Err(InvalidField::new(
                "server.acme.domains",
                "and `server.tls.certificate_file` are both given; keep one",
            ));
        }
        self.server.acme.check()
    }
}

impl AcmeSettings {
    fn check(&self) -> Result<(), InvalidField> {
        let refuse = |field: &str, rule: String| {
            Err(InvalidField::new(format!("server.acme.{field}"), rule))
        };
        if let Some(name) = self.domains.0.iter().find(|name| !is_domain(name)) {
            return refuse(
                "domains",
                format!(
                    "has {name:?}; each must be a DNS name in small letters, without `*`, scheme \
                     or port (a CA cannot check a wildcard over TLS)"
                ),
            );
        }
        if !self.directory_url.starts_with("https://") {
            return refuse(
                "directory_url",
                "must be the https URL of an ACME directory".to_owned(),
            );
        }
        if !self.contact.is_empty() && !self.contact.starts_with("mailto:") {
            return refuse(
                "contact",
                "must be written `mailto:NAME@EXAMPLE.COM`".to_owned(),
            );
        }
        if self.external_account_id.is_empty() != self.external_account_key.0.is_empty() {
            return refuse(
                "external_account_id",
                "and `server.acme.external_account_key` belong together; give both or none"
                    .to_owned(),
            );
        }
        if self.is_on() && !self.accept_terms {
            return refuse(
                "accept_terms",
                "must be true: with it you agree to the CA's terms of service".to_owned(),
            );
        }
        Ok(())
    }
}

fn both(section: &str, certificate: &Path, key: &Path) -> Result<(), InvalidField> {
    let (missing, given) = match (is_given(certificate), is_given(key)) {
        (true, false) => ("key_file", "certificate_file"),
        (false, true) => ("certificate_file", "key_file"),
        _ => return Ok(()),
    };
    Err(InvalidField::new(
        format!("{section}.{missing}"),
        format!("is missing: `{section}.{given}` is given, and TLS needs both"),
    ))
}

fn is_given(path: &Path) -> bool {
    path != Path::new("")
}

/// A DNS name as a certificate has it: labels of small letters, digits and inner hyphens, the last
/// of them not a number (so no IP address). Which of them it gives a certificate for is the CA's matter.
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_domain;

    #[test]
    fn a_domain_is_a_dns_name_and_nothing_else() {
        for good in [
            "ci.example.com",
            "localhost",
            "xn--bcher-kva.example",
            "1.example",
        ] {
            assert!(is_domain(good), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "*.example.com",
            "CI.example.com",
            "ci.example.com:443",
            "https://ci.example.com",
            "ci..example",
            ".example",
            "example.",
            "-a.example",
            "a-.example",
            "192.0.2.1",
            "2001:db8::1",
            "bücher.example",
            &long,
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
