//! From the text in a file to a token: what stands around it, and its three parts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::doctor::Finding;
use crate::doctor::kinds::token::file as kinds;
use crate::runner::SecretText;

/// A token's parts (RFC 7515, section 7.1). Its signature is not shown in `Debug`.
pub struct Token {
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// How many bytes the token has.
    pub length: usize,
    /// What is signed.
    pub(super) message: String,
    pub(super) signature: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("header", &self.header)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a whole number, as times are.
    pub(super) fn time(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim)?.as_i64()
    }

    /// A member of the header that is a text.
    pub(super) fn header(&self, member: &str) -> Option<&str> {
        self.header.get(member)?.as_str()
    }
}

/// Takes a token out of a text. What stands around it and does not belong there is found, and the token
/// is taken all the same, so that the rest can be looked at.
pub fn extract(content: &SecretText) -> (Vec<Finding>, Option<Token>) {
    let mut findings = Vec::new();
    let Some(text) = peel(content.expose(), &mut findings) else {
        return (findings, None);
    };
    if text.is_empty() {
        // Whatever was around nothing is of no importance.
        return (
            vec![Finding::new(&kinds::EMPTY, "there is nothing in it")],
            None,
        );
    }
    match parse(&text) {
        Ok(token) => {
            findings.extend(size(token.length));
            (findings, Some(token))
        }
        Err(why) => {
            findings.push(Finding::new(&kinds::FORM, why));
            (findings, None)
        }
    }
}

/// Takes away layer by layer what is not the token; nothing if it is not known where the token is.
fn peel(content: &str, findings: &mut Vec<Finding>) -> Option<String> {
    let mut text = content;
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        findings.push(Finding::new(
            &kinds::MARK,
            "the text begins with the bytes EF BB BF",
        ));
        text = rest;
    }
    let trimmed = text.trim();
    if trimmed.starts_with('{')
        && let Ok(value) = serde_json::from_str(trimmed)
    {
        return unwrap(&value, findings);
    }
    if trimmed.len() != text.len() {
        findings.push(Finding::new(&kinds::NEWLINE, white_space(text)));
    }
    let mut text = trimmed;
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            findings.push(Finding::new(
                &kinds::QUOTED,
                format!("it is between two `{quote}`"),
            ));
            text = inner.trim();
        }
    }
    if let Some((word, rest)) = text.split_once(' ')
        && word.eq_ignore_ascii_case("bearer")
    {
        findings.push(Finding::new(
            &kinds::BEARER,
            format!("it begins with `{word} `"),
        ));
        text = rest.trim();
    }
    Some(text.to_owned())
}

/// Where programs and servers put a token: GitHub, runmint, OAuth, Azure DevOps.
const MEMBERS: [&str; 5] = ["value", "token", "id_token", "access_token", "oidcToken"];

fn unwrap(value: &Value, findings: &mut Vec<Finding>) -> Option<String> {
    let direct = MEMBERS
        .iter()
        .map(|member| ((*member).to_owned(), &value[*member]));
    // An ExecCredential of Kubernetes has it one level below.
    let inner = [("status.token".to_owned(), &value["status"]["token"])];
    let mut found = direct
        .chain(inner)
        .filter_map(|(name, value)| Some((name, value.as_str()?)));
    let Some((member, token)) = found.next() else {
        findings.push(Finding::new(
            &kinds::ENVELOPE,
            "it is JSON, and no member that is known holds a token",
        ));
        return None;
    };
    let what = format!("the token is in the member `{member}`");
    let fix = format!(
        "Take the member out: `jq -rj .{member}`; or ask with `runmint token`, which prints the token \
         alone. Google's libraries can read JSON if `credential_source.format` says so."
    );
    findings.push(Finding::new(&kinds::ENVELOPE, what).to_fix(fix));
    Some(token.trim().to_owned())
}

fn white_space(text: &str) -> String {
    let before = text.len() - text.trim_start().len();
    let after = &text[text.trim_end().len()..];
    let after = match after {
        "" => String::new(),
        "\n" => "it ends with a newline".to_owned(),
        "\r\n" => "it ends with a carriage return and a newline".to_owned(),
        other => format!("it ends with {} bytes of white space", other.len()),
    };
    match (before, after) {
        (0, after) => after,
        (before, after) if after.is_empty() => {
            format!("it begins with {before} bytes of white space")
        }
        (before, after) => format!("it begins with {before} bytes of white space, and {after}"),
    }
}

fn parse(text: &str) -> Result<Token, String> {
    if let Some(at) = text.find(|c: char| !c.is_ascii_graphic()) {
        return Err(format!(
            "there is a character within it, after {at} bytes, that no token has"
        ));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(match parts.len() {
            1 => "it has no dots: an opaque token, or no token".to_owned(),
            5 => "it has five parts: it is encrypted (JWE)".to_owned(),
            count => format!("it has {count} parts, separated by dots, and not three"),
        });
    };
    Ok(Token {
        header: object("header", header)?,
        claims: object("claims", claims)?,
        length: text.len(),
        message: format!("{header}.{claims}"),
        signature: {
            decode("signature", signature)?;
            (*signature).to_owned()
        },
    })
}

fn decode(part: &str, text: &str) -> Result<Vec<u8>, String> {
    if text.contains(['+', '/', '=']) {
        return Err(format!(
            "its {part} is base64, and not base64url without padding (`+`, `/` and `=` do not occur)"
        ));
    }
    let bytes = URL_SAFE_NO_PAD.decode(text);
    bytes.map_err(|_| format!("its {part} is no base64url: was it cut off?"))
}

fn object(part: &str, text: &str) -> Result<Map<String, Value>, String> {
    let bytes = decode(part, text)?;
    serde_json::from_slice(&bytes).map_err(|_| format!("its {part} is no JSON object"))
}

/// AWS takes as many characters.
const MAX_LENGTH: usize = 20_000;

/// Many proxies take as many bytes in a header.
const LONG: usize = 8_192;

fn size(length: usize) -> Option<Finding> {
    let kind = match length {
        0..=LONG => return None,
        length if length <= MAX_LENGTH => &kinds::LONG,
        _ => &kinds::TOO_LONG,
    };
    Some(Finding::new(kind, format!("it has {length} bytes")))
}
