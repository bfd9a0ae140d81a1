//! What is found about the URL, the name and its addresses.

use crate::doctor::{Kind, Severity};

/// The URL is that of the discovery document, not of the issuer.
pub const DISCOVERY_URL: Kind = Kind {
    id: "issuer-is-discovery-url",
    severity: Severity::Warning,
    title: "the URL is that of the discovery document, not of the issuer",
    why: "The issuer is what stands before `/.well-known/openid-configuration`; Vault and \
        OpenBao ask for the document under the URL that they are given, and append that path \
        once more.",
    fix: "Give the issuer alone everywhere: in `oidc_discovery_url`, `--oidc-issuer-url`, the \
        IAM provider and the federated credential.",
    source: "OpenID Connect Discovery 1.0, section 4.1",
};

/// The issuer URL has parts that an issuer may not have.
pub const FORM: Kind = Kind {
    id: "issuer-form",
    severity: Severity::Error,
    title: "the issuer URL has parts that an issuer may not have",
    why: "An issuer is a scheme, a host and perhaps a path. AWS and Kubernetes refuse a query, \
        a fragment or a user name when the trust is set up; an empty or dotted path segment \
        is taken away by one client and kept by the next, so they no longer compare equal.",
    fix: "Choose a URL of the form `https://host` or `https://host/path`, set it as \
        `issuer.url`, and give the very same text to every relying party.",
    source: "OpenID Connect Discovery 1.0, section 3; AWS IAM, CreateOpenIDConnectProvider, `Url`",
};

/// The host has upper-case letters.
pub const HOST_CASE: Kind = Kind {
    id: "issuer-host-case",
    severity: Severity::Warning,
    title: "the host has upper-case letters",
    why: "Relying parties compare the issuer letter by letter, while proxies, browsers and \
        libraries write hosts in lower case: sooner or later one side has the other \
        spelling.",
    fix: "Write the host in lower case, in `issuer.url` and at every relying party.",
    source: "OpenID Connect Discovery 1.0, section 4.3",
};

/// The issuer URL is not https.
pub const NOT_HTTPS: Kind = Kind {
    id: "issuer-not-https",
    severity: Severity::Error,
    title: "the issuer URL is not https",
    why: "Every relying party refuses plain http: whoever sits between them could replace the \
        keys.",
    fix: "Serve runmint over TLS (`server.tls`, `server.acme`, or a proxy before it) and set \
        `issuer.url` to the `https://` URL. Tokens then name the new issuer, so the trust at \
        each relying party has to be made anew.",
    source: "OpenID Connect Discovery 1.0, section 3; AWS IAM, CreateOpenIDConnectProvider, `Url`",
};

/// The issuer URL has a port.
pub const PORT: Kind = Kind {
    id: "issuer-port",
    severity: Severity::Warning,
    title: "the issuer URL has a port",
    why: "AWS asks for a provider URL without one, and some clients leave out a port when they \
        compare.",
    fix: "Serve the issuer on port 443 and leave the port out; Vault and Kubernetes alone take \
        it as it is.",
    source: "AWS IAM, CreateOpenIDConnectProvider, `Url`",
};

/// The issuer URL ends with a slash.
pub const SLASH: Kind = Kind {
    id: "issuer-slash",
    severity: Severity::Warning,
    title: "the issuer URL ends with a slash",
    why: "With and without the slash are two issuers: a slash on one side only is the most \
        frequent reason for which Azure finds no matching credential.",
    fix: "Leave the slash out in `issuer.url` and at every relying party.",
    source: "OpenID Connect Discovery 1.0, section 4.3; Microsoft Entra, workload identity \
        federation considerations",
};

/// The issuer URL is longer than 255 bytes.
pub const TOO_LONG: Kind = Kind {
    id: "issuer-too-long",
    severity: Severity::Error,
    title: "the issuer URL is longer than 255 bytes",
    why: "AWS takes at most 255 characters for a provider; Azure takes 600.",
    fix: "Choose a shorter path.",
    source: "AWS IAM, CreateOpenIDConnectProvider, `Url`",
};

/// The host name has no address.
pub const NO_SUCH_HOST: Kind = Kind {
    id: "issuer-no-such-host",
    severity: Severity::Error,
    title: "the host name has no address",
    why: "A relying party looks the name up in the public DNS before anything else. AWS says \
        `Couldn't retrieve verification key from your identity provider`, Azure AADSTS50166.",
    fix: "Add an A or AAAA record in the public zone; if it is there, ask a resolver outside \
        of your network: `dig +short HOST @1.1.1.1`.",
    source: "AWS re:Post, `InvalidIdentityToken` errors with AssumeRoleWithWebIdentity",
};

/// The host name leads to an address that nobody else can reach.
pub const ADDRESS_NOWHERE: Kind = Kind {
    id: "issuer-address-nowhere",
    severity: Severity::Error,
    title: "the host name leads to an address that nobody else can reach",
    why: "A loopback or link-local address is another machine for everyone who looks: AWS, \
        Entra and GCP would ask themselves.",
    fix: "Let the name lead to the public address of the server or of the proxy before it. On \
        this machine `/etc/hosts` may say something else than DNS does.",
    source: "RFC 6890; AWS IAM, CreateOpenIDConnectProvider",
};

/// The host name leads to a private address.
pub const ADDRESS_PRIVATE: Kind = Kind {
    id: "issuer-address-private",
    severity: Severity::Warning,
    title: "the host name leads to a private address",
    why: "AWS and Entra fetch the keys from the internet and cannot reach it. If the public \
        DNS gives another address than your own, all is well; this check sees only the \
        answer that is given here.",
    fix: "Publish discovery and JWKS at a public address (two static documents are enough), or \
        run this check from outside. Vault and Kubernetes inside the network are content; \
        GCP can do without if the key set is uploaded (`runmint keys export`).",
    source: "RFC 1918, RFC 4193, RFC 6598; Google Cloud IAM API, `jwksJson`",
};

/// The issuer is this machine itself.
pub const THIS_MACHINE: Kind = Kind {
    id: "issuer-this-machine",
    severity: Severity::Warning,
    title: "the issuer is this machine itself",
    why: "Good for a trial: what runs here can reach it. No cloud can.",
    fix: "Set `issuer.url` to the public `https://` URL before you make trust at a relying \
        party.",
    source: "AWS IAM, CreateOpenIDConnectProvider, `Url`",
};
