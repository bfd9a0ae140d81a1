//! Looks at the files that variables name.

use std::fs::File as Opened;
use std::io::Read;
use std::path::Path;

use crate::doctor::environment::{Barrier, File, Files, Variables, files_named};
use crate::runner::SecretText;
use crate::runner::reader::{Reader, Unreadable, check};

/// As much of a file is read, in bytes; tokens and credential files are far smaller.
const LONGEST: u64 = 1 << 20;

/// The files that the variables name, and those that these name in turn.
pub(super) fn files(variables: &Variables, reader: &Reader) -> Files {
    let mut files = Files::new();
    loop {
        let named = files_named(variables, &files);
        let fresh: Vec<_> = named
            .into_iter()
            .filter(|path| !files.contains_key(path))
            .collect();
        if fresh.is_empty() {
            return files;
        }
        for path in fresh {
            let file = look(Path::new(&path), reader);
            files.insert(path, file);
        }
    }
}

fn look(path: &Path, reader: &Reader) -> File {
    let barrier = check(path, reader).err().map(|unreadable| Barrier {
        is_absent: matches!(unreadable, Unreadable::Absent { .. }),
        what: unreadable.to_string(),
        fix: unreadable.hint(),
    });
    File {
        barrier,
        text: text(path),
    }
}

/// Nothing if this process cannot read it, or if it is no regular file, which could be waited for.
fn text(path: &Path) -> Option<SecretText> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = Opened::open(path).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(SecretText::new(String::from_utf8_lossy(&bytes)))
}
