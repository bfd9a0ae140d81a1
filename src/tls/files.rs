//! A certificate from files: read at start, and again whenever their content changes.
//!
//! The content is compared, not times or inodes: Kubernetes swaps a symlink, certbot writes two files
//! one after the other, and both must do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::error::{TlsError, read};
use super::x509::Validity;
use super::{Expiry, Listener, http_protocols, provider, server_builder};
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;

/// Where a listener's files are.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) listener: Listener,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// A listener's files and what is in force of them.
#[derive(Debug)]
pub(super) struct Files {
    paths: Paths,
    config: RustlsConfig,
    in_force: Digest,
    /// Content that could not be used, and whether that was said.
    refused: Option<(Digest, bool)>,
    validity: Option<Validity>,
    expiry: Expiry,
}

type Digest = [u8; 32];

/// The files as they were at one moment.
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    pub(super) fn load(paths: Paths) -> Result<Self, TlsError> {
        let content = Content::read(&paths)?;
        let (config, validity) = content.parse(&paths)?;
        paths.warn_of_readers();
        tracing::info!(
            listener = paths.listener.as_str(),
            certificate = %paths.certificate.display(),
            not_after = validity.map(|validity| tracing::field::display(validity.not_after)),
            client_certificates = paths.client_ca.is_some(),
            "the listener speaks TLS"
        );
        Ok(Self {
            config: RustlsConfig::from_config(Arc::new(config)),
            in_force: content.digest(),
            refused: None,
            validity,
            expiry: Expiry::default(),
            paths,
        })
    }

    pub(super) fn listener(&self) -> Listener {
        self.paths.listener
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Takes the files up if they have changed. Connections that are open go on as they are.
    pub(super) fn look(&mut self, now: Timestamp, metrics: &Metrics) {
        let content = Content::read(&self.paths);
        // A file that is away has the digest of nothing: that too is said once.
        let digest = content.as_ref().map_or([0; 32], Content::digest);
        if digest == self.in_force {
            self.refused = None;
        } else if self.refused != Some((digest, true)) {
            self.change(content, digest);
        }
        self.expiry
            .look(self.listener(), self.validity, now, metrics);
    }

    fn change(&mut self, content: Result<Content, TlsError>, digest: Digest) {
        let listener = self.listener().as_str();
        match content.and_then(|content| content.parse(&self.paths)) {
            Ok((config, validity)) => {
                self.config.reload_from_config(Arc::new(config));
                (self.in_force, self.refused, self.validity) = (digest, None, validity);
                self.expiry = Expiry::default();
                self.paths.warn_of_readers();
                tracing::info!(
                    listener,
                    not_after =
                        validity.map(|validity| tracing::field::display(validity.not_after)),
                    "a changed certificate is in force"
                );
            }
            // Perhaps one file is written and the other is about to be: the next look will tell.
            Err(_) if self.refused.is_none_or(|(before, _)| before != digest) => {
                self.refused = Some((digest, false));
            }
            Err(error) => {
                self.refused = Some((digest, true));
                tracing::error!(
                    listener,
                    %error,
                    "the changed certificate files cannot be used; the certificate before them stays"
                );
            }
        }
    }
}

impl Paths {
    fn certificate_setting(&self) -> &'static str {
        match self.listener {
            Listener::Public => "server.tls.certificate_file",
            Listener::Admin => "admin.tls.certificate_file",
        }
    }

    fn key_setting(&self) -> &'static str {
        match self.listener {
            Listener::Public => "server.tls.key_file",
            Listener::Admin => "admin.tls.key_file",
        }
    }

    fn warn_of_readers(&self) {
        let readable = std::fs::metadata(&self.key)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0);
        if readable {
            let file = self.key.display();
            tracing::warn!(
                %file,
                "`{}` can be read by every user of this machine: `chmod 600` it",
                self.key_setting()
            );
        }
    }
}

const CLIENT_CA: &str = "admin.tls.client_ca_file";

impl Content {
    fn read(paths: &Paths) -> Result<Self, TlsError> {
        let client_ca = paths.client_ca.as_deref();
        Ok(Self {
            certificate: read(paths.certificate_setting(), &paths.certificate)?,
            key: read(paths.key_setting(), &paths.key)?,
            client_ca: client_ca.map(|path| read(CLIENT_CA, path)).transpose()?,
        })
    }

    fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let empty = Vec::new();
        for file in [
            &self.certificate,
            &self.key,
            self.client_ca.as_ref().unwrap_or(&empty),
        ] {
            // With its length, so that no byte can move from one file to the next unseen.
            context.update(&file.len().to_be_bytes());
            context.update(file);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    fn parse(&self, paths: &Paths) -> Result<(ServerConfig, Option<Validity>), TlsError> {
        let setting = paths.certificate_setting();
        let chain = certificates(setting, &paths.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            TlsError::content(
                paths.key_setting(),
                &paths.key,
                format!("holds no private key in PEM without a password ({error})"),
            )
        })?;
        let validity = chain.first().and_then(|first| Validity::of(first));
        let builder = server_builder()?;
        let builder = match (&self.client_ca, &paths.client_ca) {
            (Some(pem), Some(path)) => {
                let roots = Arc::new(roots(path, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                    .build()
                    .map_err(|error| TlsError::content(CLIENT_CA, path, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::content(
                    paths.key_setting(),
                    &paths.key,
                    format!(
                        "is not the key of the first certificate in {}: the listener's own \
                         certificate comes first, then those that it is signed with",
                        paths.certificate.display()
                    ),
                ),
                error => TlsError::content(setting, &paths.certificate, error.to_string()),
            })?;
        config.alpn_protocols = http_protocols();
        Ok((config, validity))
    }
}

fn certificates(
    setting: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::content(
            setting,
            path,
            "holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)",
        )),
        Err(error) => Err(TlsError::content(setting, path, error.to_string())),
    }
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, path, pem)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::content(CLIENT_CA, path, error.to_string()))?;
    }
    Ok(roots)
}
