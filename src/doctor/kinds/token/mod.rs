//! What `token` finds.

pub mod content;
pub mod file;
pub mod signature;
pub mod time;

use crate::doctor::Kind;

/// All of them.
pub const ALL: &[&Kind] = &[
    &content::ALGORITHM,
    &content::ALGORITHM_RARE,
    &content::NO_KID,
    &content::TYPE,
    &content::CRITICAL,
    &content::KEY_IN_HEADER,
    &content::CLAIM_MISSING,
    &content::CLAIM_TYPE,
    &content::AUDIENCES,
    &content::AZP,
    &content::CLAIM_CASE,
    &content::SUBJECT_FORM,
    &content::SUBJECT_ASCII,
    &content::SUBJECT_LONG,
    &content::SUBJECT_TOO_LONG,
    &file::FILE_ABSENT,
    &file::FILE_CLOSED,
    &file::FILE_OPEN,
    &file::EMPTY,
    &file::NEWLINE,
    &file::QUOTED,
    &file::BEARER,
    &file::MARK,
    &file::UTF_16,
    &file::ENVELOPE,
    &file::FORM,
    &file::TOO_LONG,
    &file::LONG,
    &signature::ISSUER_DIFFERS,
    &signature::KEYS_UNSEEN,
    &signature::KID_UNKNOWN,
    &signature::KID_TWICE,
    &signature::KEY_TYPE,
    &signature::SIGNATURE,
    &signature::SIGNATURE_OF_ANOTHER,
    &signature::KID_NOT_THUMBPRINT,
    &signature::VERSION_UNASKED,
    &signature::VERSION_UNKNOWN,
    &signature::VERSION_WITHDRAWN,
    &signature::VERSION_STAGED,
    &signature::VERSION_OLD,
    &signature::VERSION_RETIRING,
    &time::EXPIRED,
    &time::ENDS_SOON,
    &time::NOT_YET,
    &time::OLD,
    &time::LIVES_LONG,
    &time::LIVES_TOO_LONG,
    &time::ORDER,
];
