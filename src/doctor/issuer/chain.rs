//! The certificates that a server sends, seen over a connection of its own that believes none of them.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use x509_cert::certificate::{CertificateInner, Rfc5280};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, SubjectAltName};
use x509_cert::time::Time;

use super::seen::shown;
use crate::domain::time::Timestamp;

/// What a server shows of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// The host that was asked for, as in the URL.
    pub host: String,
    /// The version of TLS that was agreed on, such as `TLS 1.3`.
    pub version: String,
    /// The certificates as they were sent: the server's own first.
    pub certificates: Vec<Certificate>,
}

/// A certificate that was sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificate {
    /// Its bytes.
    pub der: Vec<u8>,
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Whether it says where its issuer's certificate can be fetched, as those of public CAs do.
    pub points_to_issuer: bool,
}

/// Why there is no chain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// It is no `https` URL with a host.
    #[error("`{0}` is no https URL")]
    Url(String),
    /// No connection.
    #[error("{host} cannot be reached: {cause}")]
    Connection {
        /// The host and the port.
        host: String,
        /// The system's words.
        cause: String,
    },
    /// The handshake failed.
    #[error("{host} does not speak TLS 1.2 or 1.3: {cause}")]
    Handshake {
        /// The host and the port.
        host: String,
        /// The library's words.
        cause: String,
    },
    /// What was sent is no certificate.
    #[error("{host} sent a certificate that cannot be read")]
    Certificate {
        /// The host and the port.
        host: String,
    },
    /// It took too long.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host and the port.
        host: String,
    },
}

/// Connects to the host of an `https` URL and takes down the certificates that it sends, whether they
/// can be trusted or not. Nothing else is sent or read.
///
/// # Errors
/// Why none were seen within `timeout`.
pub async fn fetch_chain(url: &Url, timeout: Duration) -> Result<Chain, ChainError> {
    let no_url = || ChainError::Url(shown(url.as_str()));
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(no_url());
    };
    let name = match &host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|_| no_url())?,
        Host::Ipv4(address) => std::net::IpAddr::from(*address).into(),
        Host::Ipv6(address) => std::net::IpAddr::from(*address).into(),
    };
    if url.scheme() != "https" {
        return Err(no_url());
    }
    let at = format!("{host}:{port}");
    let address = match host {
        Host::Domain(name) => format!("{name}:{port}"),
        Host::Ipv4(_) | Host::Ipv6(_) => at.clone(),
    };
    let shaking = handshake(&address, name, &at);
    match tokio::time::timeout(timeout, shaking).await {
        Ok(seen) => {
            let (version, certificates) = seen?;
            Ok(Chain {
                host: host.to_string(),
                version,
                certificates,
            })
        }
        Err(_) => Err(ChainError::Timeout { host: at }),
    }
}

async fn handshake(
    address: &str,
    name: ServerName<'static>,
    at: &str,
) -> Result<(String, Vec<Certificate>), ChainError> {
    let handshake = |cause: String| ChainError::Handshake {
        host: at.to_owned(),
        cause,
    };
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| ChainError::Connection {
        host: at.to_owned(),
        cause: error.to_string(),
    })?;
    let config = client_config().map_err(|error| handshake(error.to_string()))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = stream.await.map_err(|error| handshake(error.to_string()))?;
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let certificates = connection.peer_certificates().unwrap_or_default().iter();
    let certificates: Option<Vec<_>> = certificates.map(|der| Certificate::read(der)).collect();
    match certificates {
        Some(certificates) if !certificates.is_empty() => Ok((version.to_owned(), certificates)),
        _ => Err(ChainError::Certificate {
            host: at.to_owned(),
        }),
    }
}

impl Chain {
    /// The thumbprint for AWS: the SHA-1 digest of the last certificate that is sent, as 40 lower-case
    /// hexadecimal digits (IAM user guide, "Obtain the thumbprint for an `OpenID` Connect identity
    /// provider").
    pub fn thumbprint(&self) -> String {
        let last = self.certificates.last();
        let der = last.map_or(&[][..], |certificate| &certificate.der);
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, der);
        let hex =
            |byte: &u8| [byte >> 4, byte & 15].map(|nibble| char::from_digit(nibble.into(), 16));
        digest.as_ref().iter().flat_map(hex).flatten().collect()
    }

    /// Whether the server's own certificate is for the host (RFC 9525, section 6.3).
    pub fn is_for_host(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        let names = self
            .certificates
            .first()
            .map_or(&[][..], |first| &first.names);
        names.iter().any(|name| matches_host(name, host))
    }

    /// The first certificate that is not followed by its issuer's, where another one follows.
    pub fn first_gap(&self) -> Option<(&Certificate, &Certificate)> {
        let mut pairs = self
            .certificates
            .iter()
            .zip(self.certificates.iter().skip(1));
        pairs.find(|(certificate, next)| certificate.issuer != next.subject)
    }
}

fn matches_host(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    // A wildcard stands for the whole of the first label, and never in an address.
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let (Some(under), Some((_, host))) = (name.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    !is_address && under.eq_ignore_ascii_case(host)
}

impl Certificate {
    /// Reads a certificate (RFC 5280); nothing if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = CertificateInner::<Rfc5280>::from_der(der)
            .ok()?
            .tbs_certificate;
        let time = |time: Time| {
            i64::try_from(time.to_unix_duration().as_secs())
                .ok()
                .map(Timestamp)
        };
        let names = certificate.get::<SubjectAltName>().ok().flatten();
        let names = names.map_or_else(Vec::new, |(_, names)| names.0);
        let access = certificate
            .get::<AuthorityInfoAccessSyntax>()
            .ok()
            .flatten();
        Some(Self {
            der: der.to_vec(),
            subject: certificate.subject.to_string(),
            issuer: certificate.issuer.to_string(),
            not_before: time(certificate.validity.not_before)?,
            not_after: time(certificate.validity.not_after)?,
            names: names.iter().filter_map(name).collect(),
            points_to_issuer: access.is_some_and(|(_, access)| {
                let oids = access.0.iter().map(|each| each.access_method.to_string());
                oids.into_iter().any(|oid| oid == CA_ISSUERS)
            }),
        })
    }

    /// Whether it is issued by itself, as roots are.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// `id-ad-caIssuers` (RFC 5280, section 4.2.2.1).
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 =
                <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            let v6 =
                <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

fn client_config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Observer {
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

/// Lets every certificate pass: they are looked at, and nothing is entrusted to the connection. That the
/// server has the key of the first one is still proved.
#[derive(Debug)]
struct Observer {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_the_sha_1_of_the_last_certificate() {
        let of = |der: &[u8]| Certificate {
            der: der.to_vec(),
            ..Certificate::default()
        };
        let chain = Chain {
            host: "ci.example.com".to_owned(),
            version: "TLS 1.3".to_owned(),
            certificates: vec![of(b"leaf"), of(b"abc")],
        };
        // FIPS 180-2, appendix A.1.
        assert_eq!(
            chain.thumbprint(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
    }

    #[test]
    fn names_match_as_a_relying_party_matches_them() {
        for (name, host, expected) in [
            ("ci.example.com", "ci.example.com", true),
            ("CI.example.com", "ci.example.com", true),
            ("*.example.com", "ci.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.ci.example.com", false),
            ("example.com", "ci.example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("*.0.0.1", "127.0.0.1", false),
            ("::1", "::1", true),
        ] {
            assert_eq!(matches_host(name, host), expected, "{name} {host}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        assert_eq!(Certificate::read(b""), None);
        assert_eq!(Certificate::read(&[0x30, 0x80]), None);
    }

    #[tokio::test]
    async fn only_https_has_a_chain() {
        for url in ["http://localhost:1/", "data:text/plain,x"] {
            let url = Url::parse(url).unwrap();
            let error = fetch_chain(&url, Duration::from_secs(9)).await.unwrap_err();
            assert!(matches!(error, ChainError::Url(_)), "{error}");
        }
    }
}
