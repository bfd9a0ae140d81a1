//! What is found about the two documents and how they are answered.

use crate::doctor::{Kind, Severity};

/// The issuer cannot be reached.
pub const UNREACHABLE: Kind = Kind {
    id: "issuer-unreachable",
    severity: Severity::Error,
    title: "the issuer cannot be reached",
    why: "A relying party that cannot fetch discovery or the keys refuses every token: AWS \
        with `Couldn't retrieve verification key from your identity provider`, Azure with \
        AADSTS50166, GCP with `Error connecting to the given credential's issuer`.",
    fix: "Is the server running, does a firewall let the internet in, is the port right?",
    source: "AWS re:Post, `InvalidIdentityToken` errors with AssumeRoleWithWebIdentity",
};

/// There was no answer in time.
pub const NO_ANSWER: Kind = Kind {
    id: "issuer-no-answer",
    severity: Severity::Error,
    title: "there was no answer in time",
    why: "Kubernetes waits for 30 seconds, AWS for five.",
    fix: "Look at the server and at the proxy before it; the documents are static and come \
        from memory.",
    source: "AWS re:Post, `InvalidIdentityToken` errors with AssumeRoleWithWebIdentity; \
        Kubernetes, OIDC authenticator",
};

/// The answer took more than a second.
pub const SLOW: Kind = Kind {
    id: "issuer-slow",
    severity: Severity::Warning,
    title: "the answer took more than a second",
    why: "It is taken still, but AWS gives up after five seconds, and a relying party far away \
        has a longer way.",
    fix: "Look for a cold start, a proxy that looks names up, or a machine without breath.",
    source: "AWS re:Post, `InvalidIdentityToken` errors with AssumeRoleWithWebIdentity",
};

/// The answer took more than five seconds.
pub const TOO_SLOW: Kind = Kind {
    id: "issuer-too-slow",
    severity: Severity::Error,
    title: "the answer took more than five seconds",
    why: "AWS STS gives up and says `Couldn't retrieve verification key from your identity \
        provider`.",
    fix: "Serve both documents from memory or from a CDN.",
    source: "AWS re:Post, `InvalidIdentityToken` errors with AssumeRoleWithWebIdentity",
};

/// The document is answered by a redirect.
pub const REDIRECT: Kind = Kind {
    id: "issuer-redirect",
    severity: Severity::Error,
    title: "the document is answered by a redirect",
    why: "Some relying parties follow redirects, others do not, and none says so; what they \
        compare is the URL that they were given.",
    fix: "Answer at the URL itself with status 200. Often it is a redirect to a slash, to \
        `www.` or to a login page: exempt `/.well-known/` from it.",
    source: "OpenID Connect Discovery 1.0, section 4.2",
};

/// The document is not answered with status 200.
pub const STATUS: Kind = Kind {
    id: "issuer-status",
    severity: Severity::Error,
    title: "the document is not answered with status 200",
    why: "Any other status is a failure. 401 and 403 mean that a login or a firewall stands \
        before it, 404 that the path of the issuer is lost on the way, 5xx that the proxy \
        does not reach the server.",
    fix: "Fetch the URL by hand from outside: `curl -i URL`. Discovery and JWKS must be \
        public; pass the issuer's path on unchanged.",
    source: "OpenID Connect Discovery 1.0, section 4.2",
};

/// The content type is not `application/json`.
pub const CONTENT_TYPE: Kind = Kind {
    id: "issuer-content-type",
    severity: Severity::Warning,
    title: "the content type is not `application/json`",
    why: "The standard asks for it. Most relying parties look at the body alone, and name the \
        content type when they cannot read it.",
    fix: "Send `Content-Type: application/json`; a bucket or a static web server guesses it \
        from the file's name, which has no extension here.",
    source: "OpenID Connect Discovery 1.0, section 4.2",
};

/// The answer is a web page.
pub const HTML: Kind = Kind {
    id: "issuer-html",
    severity: Severity::Error,
    title: "the answer is a web page",
    why: "A single-page application or a login answers every path with its start page and \
        status 200, so it looks alive. Go clients then say `expected Content-Type = \
        application/json, got \"text/html\"`.",
    fix: "Route `/.well-known/openid-configuration` and the path of the key set to runmint, \
        before the rule that answers everything else.",
    source: "OpenID Connect Discovery 1.0, section 4.2",
};

/// The answer is no JSON object.
pub const NOT_JSON: Kind = Kind {
    id: "issuer-not-json",
    severity: Severity::Error,
    title: "the answer is no JSON object",
    why: "No relying party can read it.",
    fix: "Fetch the URL by hand and look at what answers: `curl -i URL`. A byte order mark, a \
        compressed body or half a body are no JSON.",
    source: "OpenID Connect Discovery 1.0, section 4.2; RFC 8259",
};

/// The answer is larger than 1 MiB.
pub const TOO_LARGE: Kind = Kind {
    id: "issuer-too-large",
    severity: Severity::Error,
    title: "the answer is larger than 1 MiB",
    why: "A key set of a hundred keys has some fifty kilobytes. It is something else, or \
        relying parties stop reading.",
    fix: "Look at what answers there.",
    source: "RFC 7517, section 5",
};

/// `issuer` is not the URL that was asked for.
pub const MISMATCH: Kind = Kind {
    id: "issuer-mismatch",
    severity: Severity::Error,
    title: "`issuer` is not the URL that was asked for",
    why: "The `issuer` of the document, `iss` of the tokens and what each relying party was \
        told are compared byte for byte. Go clients (Vault, Kubernetes) say `oidc: issuer \
        did not match the issuer returned by provider`.",
    fix: "Decide which one is right, set it as `issuer.url`, and give the very same text to \
        every relying party.",
    source: "OpenID Connect Discovery 1.0, section 4.3",
};

/// The discovery document lacks a required member.
pub const MEMBER_MISSING: Kind = Kind {
    id: "issuer-member-missing",
    severity: Severity::Error,
    title: "the discovery document lacks a required member",
    why: "Without `issuer`, `jwks_uri`, `response_types_supported`, `subject_types_supported` \
        and `id_token_signing_alg_values_supported` AWS says `Couldn't retrieve verification \
        key from your identity provider`.",
    fix: "Serve all five. runmint does; something between rewrites the document, or it is a \
        copy that was written by hand.",
    source: "OpenID Connect Discovery 1.0, section 3",
};

/// The discovery document has an empty value.
pub const MEMBER_EMPTY: Kind = Kind {
    id: "issuer-member-empty",
    severity: Severity::Error,
    title: "the discovery document has an empty value",
    why: "Members without a value are to be left out: Entra answers an empty string or an \
        empty list with AADSTS501661.",
    fix: "Leave the member out. `authorization_endpoint` may be missing in an issuer of \
        workload tokens; it may not be empty.",
    source: "OpenID Connect Discovery 1.0, section 4.2; Microsoft Entra, AADSTS501661",
};

/// A member of the discovery document has the wrong type.
pub const MEMBER_TYPE: Kind = Kind {
    id: "issuer-member-type",
    severity: Severity::Error,
    title: "a member of the discovery document has the wrong type",
    why: "URLs are strings and `…_supported` are lists of strings; a library that decodes the \
        document strictly refuses all of it.",
    fix: "Serve the type that the standard names.",
    source: "OpenID Connect Discovery 1.0, section 3",
};

/// A member stands twice.
pub const MEMBER_TWICE: Kind = Kind {
    id: "issuer-member-twice",
    severity: Severity::Warning,
    title: "a member stands twice",
    why: "Of two members with one name some parsers take the first, others the last, and some \
        refuse the document: relying parties do not see the same issuer or the same key. \
        What is said here is about the last.",
    fix: "Serve each member once. runmint does; something between rewrites the document, or \
        it is a copy that was written by hand.",
    source: "RFC 8259, section 4",
};

/// `jwks_uri` cannot be followed.
pub const JWKS_URI: Kind = Kind {
    id: "issuer-jwks-uri",
    severity: Severity::Error,
    title: "`jwks_uri` is no https URL, or leads to this machine",
    why: "Relying parties refuse to fetch keys over plain http, or from something that is no \
        absolute URL. A loopback or link-local address is another machine for each of them, \
        and may be a metadata service of theirs. Only where the issuer itself is this \
        machine, for a trial, both are taken.",
    fix: "Serve an absolute `https://` URL there; behind a proxy set `issuer.url` to what the \
        outside sees.",
    source: "OpenID Connect Discovery 1.0, section 3",
};

/// The keys are at another host than the issuer.
pub const JWKS_ELSEWHERE: Kind = Kind {
    id: "issuer-jwks-elsewhere",
    severity: Severity::Info,
    title: "the keys are at another host than the issuer",
    why: "That is allowed. AWS checks the certificate of that host, so its thumbprint is the \
        one that counts, and both must stay reachable.",
    fix: "Nothing, if it is meant.",
    source: "AWS IAM user guide, `Obtain the thumbprint for an OpenID Connect identity provider`",
};

/// `RS256` is not among the algorithms.
pub const NO_RS256: Kind = Kind {
    id: "issuer-no-rs256",
    severity: Severity::Warning,
    title: "`RS256` is not among the algorithms",
    why: "The standard asks for it, and it is the only algorithm that every relying party \
        takes: Entra is not known to take another one.",
    fix: "Set `keys.algorithm` to `RS256` and rotate, unless all of your relying parties take \
        what is there.",
    source: "OpenID Connect Discovery 1.0, section 3; Microsoft Entra, workload identity \
        federation considerations",
};

/// The keys may be cached for more than an hour.
pub const CACHE_LONG: Kind = Kind {
    id: "issuer-cache-long",
    severity: Severity::Warning,
    title: "the keys may be cached for more than an hour",
    why: "Kubernetes does not look again before the time is over: a new key is unknown to it, \
        and a withdrawn one trusted, for as long.",
    fix: "Send `Cache-Control: public, max-age=300, must-revalidate` (`jwks_max_age` in the \
        settings); a CDN may have a rule of its own.",
    source: "kube-apiserver, go-oidc v2, `jwks.go`",
};

/// The keys have no `Cache-Control` with a `max-age`.
pub const CACHE_NONE: Kind = Kind {
    id: "issuer-cache-none",
    severity: Severity::Warning,
    title: "the keys have no `Cache-Control` with a `max-age`",
    why: "Every relying party then guesses; Kubernetes fetches the keys at each token that \
        fails.",
    fix: "Send `Cache-Control: public, max-age=300, must-revalidate`. runmint does: something \
        between takes it away.",
    source: "RFC 9111, section 4.2.2; kube-apiserver, go-oidc v2, `jwks.go`",
};

/// The keys may not be cached at all.
pub const CACHE_NO_STORE: Kind = Kind {
    id: "issuer-cache-no-store",
    severity: Severity::Warning,
    title: "the keys may not be cached at all",
    why: "Relying parties that obey fetch them for each token: logins become slow, and fail \
        whenever the issuer is away for a second.",
    fix: "Send `Cache-Control: public, max-age=300, must-revalidate`.",
    source: "RFC 9111, section 5.2.2",
};

/// The keys may be cached for less than a minute.
pub const CACHE_SHORT: Kind = Kind {
    id: "issuer-cache-short",
    severity: Severity::Info,
    title: "the keys may be cached for less than a minute",
    why: "Relying parties ask more often than they need to. Just before a key changes runmint \
        shortens the time on purpose.",
    fix: "Nothing, if it is longer at another time.",
    source: "RFC 9111, section 5.2.2",
};

/// The keys have no `ETag`.
pub const ETAG_NONE: Kind = Kind {
    id: "issuer-etag-none",
    severity: Severity::Info,
    title: "the keys have no `ETag`",
    why: "Without one a cache fetches the whole set again where a short `304 Not Modified` \
        would do.",
    fix: "Let the `ETag` that runmint sends pass; some proxies drop it when they compress.",
    source: "RFC 9110, section 8.8.3",
};

/// The clocks differ by more than a minute.
pub const CLOCK_OFF: Kind = Kind {
    id: "issuer-clock-off",
    severity: Severity::Warning,
    title: "the clocks differ by more than a minute",
    why: "GCP takes a difference of about 60 seconds, Vault 60 seconds, Kubernetes none at the \
        end of a token. Which of the two clocks is wrong cannot be seen from here.",
    fix: "Synchronize the server's clock and this machine's (`timedatectl`, `chronyc \
        tracking`).",
    source: "RFC 7519, section 4.1; Vault, JWT auth API, `clock_skew_leeway`",
};

/// The clocks differ by more than five minutes.
pub const CLOCK_WRONG: Kind = Kind {
    id: "issuer-clock-wrong",
    severity: Severity::Error,
    title: "the clocks differ by more than five minutes",
    why: "No relying party takes tokens of a clock that is so far off: AWS allows five \
        minutes, the others less.",
    fix: "Synchronize the server's clock and this machine's (`timedatectl`, `chronyc \
        tracking`); if this machine's is wrong, the tokens are right.",
    source: "AWS IAM user guide, OIDC federation; RFC 7519, section 4.1",
};
