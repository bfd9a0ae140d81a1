//! The little that is read from a certificate and written into one.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use x509_cert::attr::Attribute;
use x509_cert::certificate::{CertificateInner, Rfc5280, TbsCertificateInner, Version};
use x509_cert::der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString, SetOfVec};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use x509_cert::der::oid::db::rfc5912::ECDSA_WITH_SHA_256;
use x509_cert::der::{self, Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Time;

use crate::domain::time::Timestamp;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// `id-pe-acmeIdentifier` (RFC 8737, section 6.1).
const ACME_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");

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

/// A fresh key for a certificate, P-256: what every client can verify.
pub(super) fn generate_key() -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).ok()
}

/// A certificate signing request (RFC 2986) for these names.
pub(super) fn signing_request(key: &EcdsaKeyPair, domains: &[String]) -> der::Result<Vec<u8>> {
    let extensions = ExtensionReq(vec![alternative_names(domains)?]);
    let info = CertReqInfo {
        version: x509_cert::request::Version::V1,
        subject: Name::default(),
        public_key: public_key(key)?,
        attributes: SetOfVec::from_iter([Attribute::try_from(extensions)?])?,
    };
    let signature = sign(key, &info.to_der()?)?;
    CertReq {
        info,
        algorithm: algorithm(),
        signature,
    }
    .to_der()
}

/// A certificate that vouches for nothing: it fills the place until the first real one is there. With
/// a `challenge` it answers a CA's question over TLS (RFC 8737, section 3).
pub(super) fn self_signed(
    key: &EcdsaKeyPair,
    domains: &[String],
    challenge: Option<&[u8]>,
    now: Timestamp,
) -> der::Result<Vec<u8>> {
    let day = 24 * 60 * 60;
    let mut extensions = vec![alternative_names(domains)?];
    if let Some(challenge) = challenge {
        extensions.push(Extension {
            extn_id: ACME_IDENTIFIER,
            critical: true,
            extn_value: OctetString::new(OctetString::new(challenge)?.to_der()?)?,
        });
    }
    let tbs_certificate = TbsCertificateInner::<Rfc5280> {
        version: Version::V3,
        serial_number: SerialNumber::new(&[1])?,
        signature: algorithm(),
        issuer: Name::default(),
        validity: x509_cert::time::Validity {
            not_before: time(now.0 - day)?,
            not_after: time(now.0 + 30 * day)?,
        },
        subject: Name::default(),
        subject_public_key_info: public_key(key)?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    };
    let signature = sign(key, &tbs_certificate.to_der()?)?;
    CertificateInner {
        tbs_certificate,
        signature_algorithm: algorithm(),
        signature,
    }
    .to_der()
}

fn alternative_names(domains: &[String]) -> der::Result<Extension> {
    let names = domains
        .iter()
        .map(|name| Ok(GeneralName::DnsName(Ia5String::new(name)?)))
        .collect::<der::Result<_>>()?;
    Ok(Extension {
        extn_id: ID_CE_SUBJECT_ALT_NAME,
        // Since the subject is empty (RFC 5280, section 4.2.1.6).
        critical: true,
        extn_value: OctetString::new(SubjectAltName(names).to_der()?)?,
    })
}

fn public_key(key: &EcdsaKeyPair) -> der::Result<SubjectPublicKeyInfoOwned> {
    let encoded: PublicKeyX509Der<'_> = key
        .public_key()
        .as_der()
        .map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
    SubjectPublicKeyInfoOwned::from_der(encoded.as_ref())
}

fn algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: ECDSA_WITH_SHA_256,
        parameters: None,
    }
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> der::Result<BitString> {
    let signature = key
        .sign(&SystemRandom::new(), message)
        .map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
    BitString::from_bytes(signature.as_ref())
}

fn time(seconds: i64) -> der::Result<Time> {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let time = GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(seconds))?;
    // Until 2050 this form is against RFC 5280, section 4.1.2.5.
    let date = time.to_date_time();
    Ok(match der::asn1::UtcTime::from_date_time(date) {
        Ok(time) => time.into(),
        Err(_) => time.into(),
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_400_000);

    fn domains() -> Vec<String> {
        vec!["ci.example.com".to_owned(), "www.example.com".to_owned()]
    }

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
    fn a_self_signed_certificate_has_its_names_its_times_and_the_answer_to_a_challenge() {
        let key = generate_key().unwrap();
        let digest = [7; 32];
        let der = self_signed(&key, &domains(), Some(&digest), NOW).unwrap();
        let validity = Validity::of(&der).unwrap();
        assert!(validity.not_before < NOW && NOW < validity.not_after);

        let certificate = CertificateInner::<Rfc5280>::from_der(&der).unwrap();
        let signed = certificate.tbs_certificate.to_der().unwrap();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key());
        let signature = certificate.signature.raw_bytes();
        verifier.verify(&signed, signature).unwrap();
        let extensions = certificate.tbs_certificate.extensions.unwrap();
        let names = SubjectAltName::from_der(extensions[0].extn_value.as_bytes()).unwrap();
        assert_eq!(names.0.len(), 2);
        assert_eq!(extensions[1].extn_id, ACME_IDENTIFIER);
        assert!(extensions[1].critical);
        // An OCTET STRING of 32 bytes within the extension's own.
        let mut expected = vec![0x04, 32];
        expected.extend(digest);
        assert_eq!(extensions[1].extn_value.as_bytes(), expected);
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        assert_eq!(Validity::of(b""), None);
        assert_eq!(Validity::of(&[0x30, 0x80]), None);
    }
}
