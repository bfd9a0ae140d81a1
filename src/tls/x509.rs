//! The little that is read from a certificate and written into one.

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Rfc5280};
use x509_cert::der::Decode;
use x509_cert::time::Time;

use crate::domain::time::Timestamp;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// That of a certificate; nothing if it cannot be read.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = CertificateInner::<Rfc5280>::from_der(certificate).ok()?;
        let time = |time: Time| {
            let seconds = time.to_unix_duration().as_secs();
            i64::try_from(seconds).ok().map(Timestamp)
        };
        let validity = certificate.tbs_certificate.validity;
        Some(Self {
            not_before: time(validity.not_before)?,
            not_after: time(validity.not_after)?,
        })
    }

    /// When it is to be renewed: two thirds of its life are over, as Let's Encrypt advises.
    pub(super) fn renew_at(self) -> Timestamp {
        Timestamp(self.not_after.0 - self.lifetime() / 3)
    }

    /// When somebody should look: it should have been renewed long ago.
    pub(super) fn ends_soon_at(self) -> Timestamp {
        Timestamp(self.not_after.0 - self.lifetime() / 5)
    }

    fn lifetime(self) -> i64 {
        self.not_after.seconds_since(self.not_before).max(0)
    }
}

/// A certificate signing request (RFC 2986) for these names, in DER.
pub(super) fn signing_request(key: &KeyPair, domains: &[String]) -> Result<Vec<u8>, rcgen::Error> {
    let request = named(domains)?.serialize_request(key)?;
    Ok(request.der().to_vec())
}

/// A certificate that vouches for nothing: it fills the place until the first real one is there. With
/// a `challenge`, a SHA-256 digest, it answers a CA's question over TLS (RFC 8737, section 3).
pub(super) fn self_signed(
    key: &KeyPair,
    domains: &[String],
    challenge: Option<&[u8]>,
) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut certificate = named(domains)?;
    certificate
        .custom_extensions
        .extend(challenge.map(CustomExtension::new_acme_identifier));
    Ok(certificate.self_signed(key)?.der().clone())
}

/// For these names, and nobody in particular.
fn named(domains: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(domains)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use x509_cert::der::oid::ObjectIdentifier;
    use x509_cert::ext::pkix::SubjectAltName;

    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let day = 86_400;
        let validity = Validity {
            not_before: Timestamp(0),
            not_after: Timestamp(90 * day),
        };
        assert_eq!(validity.renew_at(), Timestamp(60 * day));
        assert_eq!(validity.ends_soon_at(), Timestamp(72 * day));
        let senseless = Validity {
            not_before: Timestamp(10),
            not_after: Timestamp(5),
        };
        assert_eq!(senseless.renew_at(), Timestamp(5));
    }

    #[test]
    fn a_self_signed_certificate_has_its_names_alone_and_the_answer_to_a_challenge() {
        let key = KeyPair::generate().unwrap();
        let names = ["ci.example.com".to_owned(), "www.example.com".to_owned()];
        let digest = [7; 32];
        let der = self_signed(&key, &names, Some(&digest)).unwrap();
        let now = Timestamp(1_795_400_000);
        let validity = Validity::of(&der).unwrap();
        assert!(validity.not_before < now && now < validity.not_after);

        let certificate = CertificateInner::<Rfc5280>::from_der(&der).unwrap();
        let certificate = certificate.tbs_certificate;
        assert!(certificate.subject.0.is_empty());
        let (_, names) = certificate.get::<SubjectAltName>().unwrap().unwrap();
        assert_eq!(names.0.len(), 2);
        // `id-pe-acmeIdentifier` (RFC 8737, section 6.1).
        let acme_identifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");
        let extensions = certificate.extensions.unwrap();
        let answers = |extension: &&x509_cert::ext::Extension| extension.extn_id == acme_identifier;
        let answer = extensions.iter().find(answers).unwrap();
        assert!(answer.critical);
        // An OCTET STRING of 32 bytes within the extension's own.
        let mut expected = vec![0x04, 32];
        expected.extend(digest);
        assert_eq!(answer.extn_value.as_bytes(), expected);
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        assert_eq!(Validity::of(b""), None);
        assert_eq!(Validity::of(&[0x30, 0x80]), None);
    }
}
