//! What the doctor is given: files, or stdin.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::super::CliError;

/// Policies and tokens have kilobytes, `CloudTrail`'s files some megabytes; in bytes.
const MOST: u64 = 64 * 1024 * 1024;

/// The text of the file that an option names; `-` is stdin.
///
/// # Errors
/// Names the option and the file.
pub(in crate::cli) fn read(option: &str, path: &Path) -> Result<String, CliError> {
    let unusable = |what: String| {
        let what = format!("`{option}`: {}: {what}", path.display());
        CliError::Io(std::io::Error::other(what))
    };
    let mut text = String::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| unusable(error.to_string()))?)
    };
    let read = source.take(MOST + 1).read_to_string(&mut text);
    match read.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX)) {
        Ok(bytes) if bytes > MOST => Err(unusable(format!("is larger than {MOST} bytes"))),
        Ok(_) => Ok(text),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// What messages call such a file.
pub(in crate::cli) fn name_of(path: &Path) -> String {
    if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    }
}

/// The claims of the token in a file, or of the JSON in it.
///
/// # Errors
/// Names the option and the file; never what is in it.
pub(super) fn claims(option: &str, path: &Path) -> Result<Map<String, Value>, CliError> {
    let text = read(option, path)?;
    parse(text.trim()).ok_or_else(|| {
        CliError::Usage(format!(
            "`{option}`: {} holds neither a JWT nor a JSON object of claims; `runmint doctor token` says \
             what is wrong with a token",
            path.display()
        ))
    })
}

fn parse(text: &str) -> Option<Map<String, Value>> {
    if text.starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [_, payload, _] = parts.as_slice() else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_from_a_token_or_from_json() {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"sub": "s"}"#));
        assert_eq!(parse(&token).unwrap()["sub"], "s");
        assert_eq!(parse(r#"{"sub": "s"}"#).unwrap()["sub"], "s");
        for text in ["", "a.b", "a.b.c", "[1]", "{", "e30.WzFd.c2ln"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
