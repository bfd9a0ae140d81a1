//! The file that a token is in, and who can read it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::doctor::kinds::token::file as kinds;
use crate::doctor::{Finding, Report};
use crate::runner::SecretText;
use crate::runner::account::AccountError;
use crate::runner::reader::{Reader, Unreadable, check};

/// A token file, as it was seen.
#[derive(Debug, Default)]
pub struct FileSeen {
    /// Where it is; nothing for a text that came from elsewhere.
    pub path: Option<PathBuf>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// What is in it, if it could be read; bytes that are not UTF-8 are replaced.
    pub content: Option<SecretText>,
    /// Whether it is UTF-16, as Windows writes it, and was read as that.
    pub is_utf_16: bool,
    /// Why it cannot be read by whom it is for, or at all.
    pub obstacles: Vec<Unreadable>,
}

/// More than any token has, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

impl FileSeen {
    /// A text that is in no file.
    pub fn of_text(content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let utf_16 = utf_16(content);
        Self {
            is_utf_16: utf_16.is_some(),
            content: Some(
                utf_16.unwrap_or_else(|| SecretText::new(String::from_utf8_lossy(content))),
            ),
            ..Self::default()
        }
    }

    /// Reads a file, and looks whether `reader` could; this process, when it is left out.
    ///
    /// # Errors
    /// The system does not say who this process is.
    pub fn read(path: &Path, reader: Option<&Reader>) -> Result<Self, AccountError> {
        let mut seen = Self {
            path: Some(path.to_owned()),
            mode: fs::metadata(path).ok().map(|file| file.mode() & 0o777),
            ..Self::default()
        };
        if let Some(reader) = reader {
            seen.obstacles.extend(check(path, reader).err());
        }
        match content(path) {
            Ok(bytes) => {
                let text = Self::of_text(bytes.as_slice());
                (seen.content, seen.is_utf_16) = (text.content, text.is_utf_16);
            }
            Err(_) if !seen.obstacles.is_empty() => {}
            Err(source) => {
                let permissions = check(path, &Reader::current()?).err();
                // What is in the way may be more than permissions.
                let obstacle = permissions.unwrap_or_else(|| Unreadable::Unknown {
                    path: path.to_owned(),
                    at: path.to_owned(),
                    source,
                });
                seen.obstacles.push(obstacle);
            }
        }
        Ok(seen)
    }
}

/// A text of two bytes for each character, without its byte order mark.
fn utf_16(bytes: &[u8]) -> Option<SecretText> {
    let of = |pair: &[u8], is_little: bool| match *pair {
        [low, high] if is_little => u16::from_le_bytes([low, high]),
        [high, low] => u16::from_be_bytes([high, low]),
        _ => u16::from(b'?'),
    };
    let is_little = match bytes {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        _ => return None,
    };
    let units = bytes.chunks(2).skip(1).map(|pair| of(pair, is_little));
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or('\u{fffd}'))
        .collect();
    Some(SecretText::new(text))
}

fn content(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if fs::metadata(path)?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(MAX_LENGTH).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Others may read.
const OTHERS: u32 = 0o004;

pub(super) fn judge(file: &FileSeen, report: &mut Report) {
    if let Some(path) = &file.path {
        let mode = file
            .mode
            .map_or(String::new(), |mode| format!(", mode {mode:04o}"));
        report.fact("file", format!("{}{mode}", path.display()));
        if file.mode.is_some_and(|mode| mode & OTHERS != 0) {
            let what = format!("`{}` has{}", path.display(), mode.trim_start_matches(','));
            let fix = format!(
                "`chmod o-rwx {}`; `runmint token --output` writes 0600, or 0640 with `--group`.",
                path.display()
            );
            report.add(Finding::new(&kinds::FILE_OPEN, what).to_fix(fix));
        }
    }
    if file.is_utf_16 {
        let what = "each character has two bytes";
        report.add(Finding::new(&kinds::UTF_16, what));
    }
    for obstacle in &file.obstacles {
        let kind = match obstacle {
            Unreadable::Absent { .. } => &kinds::FILE_ABSENT,
            Unreadable::Denied(_) | Unreadable::Folder { .. } | Unreadable::Unknown { .. } => {
                &kinds::FILE_CLOSED
            }
        };
        let finding = Finding::new(kind, obstacle.to_string());
        report.add(match obstacle.hint() {
            Some(hint) => finding.to_fix(hint),
            None => finding,
        });
    }
}
