//! What `error` finds, besides the known errors.

use crate::doctor::{Kind, Severity};

/// All of them.
pub const ALL: &[&Kind] = &[&UNKNOWN];

/// Nothing in the log is in the catalogue.
pub const UNKNOWN: Kind = Kind {
    id: "error-unknown",
    severity: Severity::Info,
    title: "No known error stands in the log",
    why: "The text was compared with the messages in the catalogue, which are those of AWS, Azure, \
          Google Cloud, Vault, OpenBao and Kubernetes about tokens, issuers and policies. A message \
          that is not in it may still be about one of them.",
    fix: "Give it more of the log: the reason often stands some lines before or after the last error, \
          or in the relying party's own log. Then look for yourself, in this order: `runmint doctor \
          issuer URL`, `runmint doctor token FILE`, `runmint doctor policy --token FILE --policy FILE`, \
          `runmint doctor environment`.",
    source: "the catalogue: the pages about known errors beside this one",
};
