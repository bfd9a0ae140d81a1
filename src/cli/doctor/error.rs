//! `runmint doctor error`

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use super::super::CliError;
use super::super::output::Printer;
use crate::doctor::{Report, errors};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The message; `-`, or nothing, to read a log from stdin.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Read the log from this file.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
}

/// In bytes.
const LARGEST: u64 = 64 << 20;

pub(super) fn run(args: &Args) -> Result<Report, CliError> {
    let log = args.log()?;
    if log.trim().is_empty() {
        return Err(CliError::Usage(
            "there is nothing to read: give the message, or pipe in the log".to_owned(),
        ));
    }
    Ok(errors::report(&log))
}

impl Args {
    fn log(&self) -> Result<String, CliError> {
        if let Some(file) = &self.file {
            let name = format!("`--file` {}", file.display());
            let opened = File::open(file).map_err(|error| unreadable(&name, &error))?;
            return read(&name, opened, LARGEST);
        }
        match self.text.as_deref() {
            None | Some("-") => {
                let stdin = std::io::stdin().lock();
                if stdin.is_terminal() {
                    Printer::tell("paste the log, then end it with Ctrl-D on a line of its own");
                }
                read("stdin", stdin, LARGEST)
            }
            // A name is no message: nothing known would be found in it.
            Some(text) if Path::new(text).exists() => Err(CliError::Usage(format!(
                "`TEXT` is the message itself, and {text} is a file: to read it, `--file {text}`"
            ))),
            Some(text) => Ok(text.to_owned()),
        }
    }
}

/// A log of at most `largest` bytes; `name` is what messages call it.
fn read(name: &str, from: impl Read, largest: u64) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = from.take(largest + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > largest {
        return Err(CliError::Usage(format!(
            "{name} has more than {} MiB: give the part around the error, e.g. by `tail -n 10000`",
            largest >> 20
        )));
    }
    Ok(text(bytes))
}

fn unreadable(name: &str, error: &std::io::Error) -> CliError {
    CliError::Io(std::io::Error::new(
        error.kind(),
        format!("{name}: {error}"),
    ))
}

/// UTF-8, or UTF-16 as `PowerShell` writes it; what is neither is not what an error is recognised by.
fn text(bytes: Vec<u8>) -> String {
    let units: fn([u8; 2]) -> u16 = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => {
            return String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        }
    };
    let (pairs, _) = bytes[2..].as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| units(*pair)).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_may_have_been_written_by_powershell_or_hold_bytes_of_no_encoding() {
        let word = "é!";
        let le = word.encode_utf16().flat_map(u16::to_le_bytes);
        let be = word.encode_utf16().flat_map(u16::to_be_bytes);
        assert_eq!(text([0xff, 0xfe].into_iter().chain(le).collect()), word);
        assert_eq!(text([0xfe, 0xff].into_iter().chain(be).collect()), word);
        assert_eq!(text(word.into()), word);
        assert_eq!(text(vec![b'a', 0xff, b'b']), "a\u{fffd}b");
    }

    #[test]
    fn a_log_that_is_too_long_is_refused_in_words() {
        assert_eq!(read("stdin", "1234".as_bytes(), 4).unwrap(), "1234");
        let error = read("stdin", "12345".as_bytes(), 4).unwrap_err();
        assert!(error.to_string().contains("tail"), "{error}");
        assert_eq!(error.status(), 2);
    }
}
