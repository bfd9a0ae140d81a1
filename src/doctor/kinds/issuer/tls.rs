//! What is found about TLS and the certificates.

use crate::doctor::{Kind, Severity};

/// A certificate is not valid yet.
pub const CERTIFICATE_EARLY: Kind = Kind {
    id: "issuer-certificate-early",
    severity: Severity::Error,
    title: "a certificate is not valid yet",
    why: "Every relying party refuses the connection until then.",
    fix: "Look at the clocks of the machine that made the certificate and of this one; if both \
        are right, use the older certificate until this one begins.",
    source: "RFC 5280, section 4.1.2.5",
};

/// A certificate has ended.
pub const CERTIFICATE_ENDED: Kind = Kind {
    id: "issuer-certificate-ended",
    severity: Severity::Error,
    title: "a certificate has ended",
    why: "Every relying party refuses the connection, so no token can be verified once the \
        cached keys are gone.",
    fix: "Renew it, and see that the server or the proxy before it has loaded the new file. An \
        intermediate certificate comes with the renewed chain.",
    source: "RFC 5280, section 4.1.2.5",
};

/// A certificate ends soon.
pub const CERTIFICATE_ENDS_SOON: Kind = Kind {
    id: "issuer-certificate-ends-soon",
    severity: Severity::Warning,
    title: "a certificate ends soon",
    why: "More than four fifths of its life are over. Renewal usually happens after two \
        thirds, so it seems to have stopped.",
    fix: "Look at whatever renews it; with `server.acme`, at the server's log.",
    source: "Let's Encrypt, integration guide",
};

/// The certificate is not for this host.
pub const CERTIFICATE_HOST: Kind = Kind {
    id: "issuer-certificate-host",
    severity: Severity::Error,
    title: "the certificate is not for this host",
    why: "Relying parties compare the host of the URL with the certificate's subject \
        alternative names; the common name does not count.",
    fix: "Get a certificate with the host among its names. If there is one already, the server \
        shows its default one: see that the proxy picks by the name that the client asks for \
        (SNI).",
    source: "RFC 9525, section 6",
};

/// The certificate is of nobody who is trusted.
pub const CERTIFICATE_UNTRUSTED: Kind = Kind {
    id: "issuer-certificate-untrusted",
    severity: Severity::Error,
    title: "the certificate is of nobody who is trusted",
    why: "Entra, GCP and EKS take certificates of public CAs only; AWS takes another one only \
        if its thumbprint is in the provider's list.",
    fix: "Use a certificate of a public CA (`server.acme` gets one by itself). For a private \
        CA name it with `--ca FILE` to look at the rest, give it to Vault \
        (`oidc_discovery_ca_pem`) and Kubernetes (`certificateAuthority`), and the \
        thumbprint to AWS.",
    source: "AWS IAM user guide, `Obtain the thumbprint for an OpenID Connect identity provider`",
};

/// The server does not send an intermediate certificate.
pub const CHAIN_INCOMPLETE: Kind = Kind {
    id: "issuer-chain-incomplete",
    severity: Severity::Error,
    title: "the server does not send an intermediate certificate",
    why: "Browsers find a missing intermediate by themselves, relying parties do not: the \
        chain ends before a CA that they trust.",
    fix: "Configure the full chain (`fullchain.pem`: the server's certificate first, then the \
        intermediates) in place of the single certificate. If the CA is a private one, name \
        the certificate of its root with `--ca`.",
    source: "RFC 8446, section 4.4.2; RFC 5280, section 6.1",
};

/// The certificates of the chain do not follow one another.
pub const CHAIN_ORDER: Kind = Kind {
    id: "issuer-chain-order",
    severity: Severity::Warning,
    title: "the certificates of the chain do not follow one another",
    why: "Each certificate should be followed by that of its issuer. Some clients put them in \
        order, others give up; and AWS's thumbprint is taken from the last one, which may be \
        the wrong one.",
    fix: "Put the file in order: the server's certificate first, then its issuer's, and so on.",
    source: "RFC 8446, section 4.4.2",
};

/// The chain could not be looked at.
pub const CHAIN_UNSEEN: Kind = Kind {
    id: "issuer-chain-unseen",
    severity: Severity::Info,
    title: "the chain could not be looked at",
    why: "The documents came, but not over a connection of which the certificates can be seen, \
        as with a proxy of this network.",
    fix: "Run the check where the internet is reached directly, for the thumbprint and the \
        certificates' ends.",
    source: "AWS IAM user guide, `Obtain the thumbprint for an OpenID Connect identity provider`",
};

/// The certificate was held against the CAs of `--ca` only.
pub const PRIVATE_CA: Kind = Kind {
    id: "issuer-private-ca",
    severity: Severity::Info,
    title: "the certificate was held against the CAs of `--ca` only",
    why: "It says nothing about relying parties that know public CAs. AWS needs the thumbprint \
        in the provider; EKS refuses; Entra has no setting for it; GCP needs the key set \
        uploaded; Vault and Kubernetes need the CA.",
    fix: "AWS: `--thumbprint-list` with the thumbprint above. GCP: `runmint keys export` into \
        `jwksJson`. Vault: `oidc_discovery_ca_pem`. Kubernetes: `certificateAuthority` or \
        `--oidc-ca-file`. Entra and EKS: a certificate of a public CA.",
    source: "AWS IAM, CreateOpenIDConnectProvider, `ThumbprintList`; Vault, JWT auth API; \
        Kubernetes, AuthenticationConfiguration",
};

/// TLS could not be spoken.
pub const TLS_FAILED: Kind = Kind {
    id: "issuer-tls-failed",
    severity: Severity::Error,
    title: "TLS could not be spoken",
    why: "The other side does not speak TLS 1.2 or 1.3, or it is no TLS server at all, so no \
        relying party gets as far as the documents.",
    fix: "See that the port serves https, with TLS 1.2 or 1.3.",
    source: "RFC 8996; RFC 9325, section 3.1",
};
