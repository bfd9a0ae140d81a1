//! The catalogue: what relying parties say when they say no, and what it means.
//!
//! It is data, in the TOML files beside this one, a table `[[error]]` for each error:
//!
//! | key | |
//! |---|---|
//! | `id` | its name, for ever, and its page in `docs/findings/` |
//! | `relying_party`, `class` | who says so, and what is wrong: [`RelyingParty`], [`Class`] |
//! | `match` | regular expressions over bytes, of which one must hit; what may stand in between is bounded (`.{0,200}?`), since the text has no lines |
//! | `example`, `more_examples` | the message as it was seen, or as its source renders it |
//! | `cause`, `fix`, `source` | why, what to do, and where that stands |
//! | `next` | which check to run next, where it is not the class's |
//! | `wraps` | `true` if it says only that something within it failed: alone it is a warning |
//! | `priority` | 50; more for a text that contains a more general one, less for vague ones; up to 20 for a frame, which is meant only where nothing else is known |

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

/// A known error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name, for ever: `aws-not-authorized`.
    pub id: String,
    /// Who says so.
    pub relying_party: RelyingParty,
    /// What is wrong.
    pub class: Class,
    /// Any of them is enough.
    #[serde(rename = "match")]
    pub patterns: Vec<String>,
    /// The message.
    pub example: String,
    /// The message in other surroundings.
    #[serde(default)]
    pub more_examples: Vec<String>,
    /// How it comes about; sentences.
    pub cause: String,
    /// What to do; sentences, commands in backticks.
    pub fix: String,
    /// Where that stands.
    pub source: String,
    /// Which of two that stand in the same place is meant: the higher one.
    pub priority: u8,
    /// Whether it says only that something within it failed.
    #[serde(default)]
    pub wraps: bool,
    #[serde(default)]
    next: Option<Check>,
}

/// Who says so.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are names")]
pub enum RelyingParty {
    AwsEks,
    AwsIam,
    AwsSdk,
    AwsSts,
    Azure,
    Gcp,
    GoOidc,
    Kubectl,
    Kubernetes,
    KubernetesEks,
    Openbao,
    TerraformAwsProvider,
    TerraformAzurermProvider,
    TerraformEnterprise,
    Vault,
}

/// Relying parties whose messages come wrapped in one another's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "they are names")]
pub enum Family {
    Aws,
    Azure,
    Gcp,
    Kubernetes,
    Vault,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`Class::meaning` says it")]
pub enum Class {
    Algorithm,
    Ambiguous,
    AudienceMismatch,
    ClaimMismatch,
    ClaimMissing,
    Clock,
    Config,
    Discovery,
    Expired,
    IssuerMismatch,
    IssuerUnknown,
    JwksUnreachable,
    Limit,
    MalformedToken,
    RbacMapping,
    Signature,
    Tls,
    TokenFile,
    TokenRequest,
    TrustPolicy,
    Unauthorized,
}

/// A check of `runmint doctor`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Of variables and files.
    Environment,
    /// Of an issuer, as a relying party sees it.
    Issuer,
    /// Of a token against a policy.
    Policy,
    /// Of a token.
    Token,
}

/// The catalogue, its regular expressions compiled.
pub(super) struct Catalogue {
    /// In the order of the files.
    pub(super) entries: Vec<Entry>,
    /// Each with its entry's place in `entries`.
    pub(super) patterns: Vec<(usize, Regex)>,
    /// All of `patterns` at once, in the same order: which of them hit at all.
    pub(super) any: RegexSet,
}

/// Compiled when it is first asked for.
pub(super) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::compile);

/// All known errors.
pub fn all() -> &'static [Entry] {
    &CATALOGUE.entries
}

const FILES: [&str; 6] = [
    include_str!("aws.toml"),
    include_str!("azure.toml"),
    include_str!("gcp.toml"),
    include_str!("kubernetes.toml"),
    include_str!("vault.toml"),
    include_str!("other.toml"),
];

/// Up to this priority an entry is a frame.
const FRAME: u8 = 20;

/// What the automaton of all patterns may take, in bytes; only what is used of it takes memory.
const AUTOMATON: usize = 1 << 26;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "error")]
    entries: Vec<Entry>,
}

impl Catalogue {
    /// The files are compiled in, so what is wrong in them is found by the unit tests below; here it
    /// would be left out.
    fn compile() -> Self {
        let files = FILES.iter().filter_map(|file| toml::from_str(file).ok());
        let entries: Vec<Entry> = files.flat_map(|file: File| file.entries).collect();
        let mut texts = Vec::new();
        let mut patterns = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            for text in &entry.patterns {
                // Messages are ASCII, and so much faster to search.
                if let Ok(pattern) = RegexBuilder::new(text).unicode(false).build() {
                    texts.push(text);
                    patterns.push((at, pattern));
                }
            }
        }
        let any = RegexSetBuilder::new(texts)
            .unicode(false)
            .size_limit(AUTOMATON)
            .dfa_size_limit(AUTOMATON)
            .build();
        Self {
            entries,
            patterns,
            any: any.unwrap_or_else(|_| RegexSet::empty()),
        }
    }
}

impl Entry {
    /// Whether it is meant only where nothing else is known: it wraps other errors, or stands for them.
    pub fn is_frame(&self) -> bool {
        self.priority <= FRAME
    }

    /// What is wrong, in a few words.
    pub fn meaning(&self) -> &'static str {
        if self.wraps {
            "another error within it has the reason"
        } else {
            self.class.meaning()
        }
    }

    /// Which check to run next.
    pub fn next(&self) -> Check {
        self.next.unwrap_or_else(|| self.class.check())
    }

    /// All of its examples.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        let more = self.more_examples.iter().map(String::as_str);
        std::iter::once(self.example.as_str()).chain(more)
    }
}

impl RelyingParty {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsEks => "AWS, for pods in EKS",
            Self::AwsIam => "AWS IAM",
            Self::AwsSdk => "an AWS SDK",
            Self::AwsSts => "AWS STS",
            Self::Azure => "Microsoft Entra",
            Self::Gcp => "Google Cloud",
            Self::GoOidc => "a relying party that uses go-oidc",
            Self::Kubectl => "a Kubernetes client",
            Self::Kubernetes => "a Kubernetes API server",
            Self::KubernetesEks => "a cluster in EKS",
            Self::Openbao => "OpenBao",
            Self::TerraformAwsProvider => "Terraform's AWS provider",
            Self::TerraformAzurermProvider => "Terraform's azurerm provider",
            Self::TerraformEnterprise => "Terraform Enterprise",
            Self::Vault => "Vault",
        }
    }

    /// Whose messages it wraps, or is wrapped in.
    pub fn family(self) -> Family {
        match self {
            Self::AwsEks
            | Self::AwsIam
            | Self::AwsSdk
            | Self::AwsSts
            | Self::TerraformAwsProvider
            | Self::TerraformEnterprise => Family::Aws,
            Self::Azure | Self::TerraformAzurermProvider => Family::Azure,
            Self::Gcp => Family::Gcp,
            Self::GoOidc | Self::Kubectl | Self::Kubernetes | Self::KubernetesEks => {
                Family::Kubernetes
            }
            Self::Openbao | Self::Vault => Family::Vault,
        }
    }
}

impl Family {
    /// All of them, in the order of the alphabet.
    pub const ALL: [Self; 5] = [
        Self::Aws,
        Self::Azure,
        Self::Gcp,
        Self::Kubernetes,
        Self::Vault,
    ];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Gcp => "Google Cloud",
            Self::Kubernetes => "Kubernetes",
            Self::Vault => "Vault and OpenBao",
        }
    }
}

impl Class {
    /// What is wrong, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Algorithm => "the algorithm is not taken",
            Self::Ambiguous => "the token is refused without a reason",
            Self::AudienceMismatch => "the audience does not match",
            Self::ClaimMismatch => "a claim does not have the value it must have",
            Self::ClaimMissing => "a claim is missing",
            Self::Clock => "clocks differ",
            Self::Config => "a setting is wrong",
            Self::Discovery => "the issuer's discovery document cannot be used",
            Self::Expired => "the token is too old",
            Self::IssuerMismatch => "the issuer is not the same everywhere",
            Self::IssuerUnknown => "the issuer is not known",
            Self::JwksUnreachable => "the issuer's keys cannot be fetched",
            Self::Limit => "a limit is passed",
            Self::MalformedToken => "what was sent is no token that can be read",
            Self::RbacMapping => "whoever logged in is allowed nothing here",
            Self::Signature => "the signature does not verify",
            Self::Tls => "the issuer's certificate is not accepted",
            Self::TokenFile => "the token's file cannot be read",
            Self::TokenRequest => "the request for a token has failed",
            Self::TrustPolicy => "the trust policy does not admit the token",
            Self::Unauthorized => "the token is refused, and the reason is kept elsewhere",
        }
    }

    /// Which check tells more.
    fn check(self) -> Check {
        match self {
            Self::Config | Self::TokenFile | Self::TokenRequest => Check::Environment,
            Self::Algorithm
            | Self::Discovery
            | Self::IssuerMismatch
            | Self::JwksUnreachable
            | Self::Tls => Check::Issuer,
            Self::AudienceMismatch
            | Self::ClaimMismatch
            | Self::IssuerUnknown
            | Self::RbacMapping
            | Self::TrustPolicy => Check::Policy,
            Self::Ambiguous
            | Self::ClaimMissing
            | Self::Clock
            | Self::Expired
            | Self::Limit
            | Self::MalformedToken
            | Self::Signature
            | Self::Unauthorized => Check::Token,
        }
    }
}

impl Check {
    /// How it is run.
    pub fn command(self) -> &'static str {
        match self {
            Self::Environment => "runmint doctor environment",
            Self::Issuer => "runmint doctor issuer URL",
            Self::Policy => "runmint doctor policy --token FILE --policy FILE",
            Self::Token => "runmint doctor token FILE",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_is_read_and_every_pattern_compiles() {
        let mut entries = 0;
        for file in FILES {
            let file: File = toml::from_str(file).unwrap();
            entries += file.entries.len();
        }
        assert_eq!(all().len(), entries);
        let patterns: usize = all().iter().map(|entry| entry.patterns.len()).sum();
        assert_eq!(CATALOGUE.patterns.len(), patterns);
        assert_eq!(CATALOGUE.any.len(), patterns);
        assert!(patterns > 150, "{patterns}");
    }

    #[test]
    fn an_id_is_given_once_and_never_to_a_kind_of_finding() {
        let mut ids: BTreeSet<&str> = crate::doctor::kinds::all().map(|kind| kind.id).collect();
        for entry in all() {
            assert!(ids.insert(&entry.id), "{} is there twice", entry.id);
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(entry.id.chars().all(is_plain), "{}", entry.id);
        }
    }

    #[test]
    fn every_entry_says_why_and_what_to_do_in_whole_sentences() {
        for entry in all() {
            for text in [&entry.cause, &entry.fix] {
                assert!(text.ends_with('.'), "{}: {text}", entry.id);
                assert!(text.matches('`').count() % 2 == 0, "{}: {text}", entry.id);
            }
            assert!(!entry.source.is_empty(), "{}", entry.id);
            assert!(!entry.source.ends_with('.'), "{}", entry.id);
            assert!((1..=100).contains(&entry.priority), "{}", entry.id);
            assert!(entry.is_frame() || !entry.wraps, "{}", entry.id);
        }
    }

    /// Without line ends, `.*` would join the first line of a log to the last one.
    #[test]
    fn what_may_stand_in_between_is_bounded() {
        for entry in all() {
            for pattern in &entry.patterns {
                for endless in [".*", ".+", "(?s)", "(?is)", "(?si)"] {
                    let plain = pattern.replace("\\.", "");
                    assert!(!plain.contains(endless), "{}: {pattern}", entry.id);
                }
            }
        }
    }
}
