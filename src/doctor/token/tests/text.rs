//! What stands around a token, and what is none.

use super::*;

#[test]
fn what_stands_around_a_token_is_found_and_the_token_is_judged_all_the_same() {
    let token = good();
    for (content, expected, words) in [
        (format!("{token}\n"), &["token-newline"][..], "a newline"),
        (
            format!("{token}\r\n"),
            &["token-newline"],
            "a carriage return",
        ),
        (
            format!(" {token}"),
            &["token-newline"],
            "begins with 1 bytes",
        ),
        (
            format!("\"{token}\""),
            &["token-quoted"],
            "between two `\"`",
        ),
        (format!("'{token}'"), &["token-quoted"], "between two `'`"),
        (
            format!("\"{token}\"\n"),
            &["token-newline", "token-quoted"],
            "",
        ),
        (format!("Bearer {token}"), &["token-bearer"], "`Bearer `"),
        (
            format!("bearer {token}\n"),
            &["token-newline", "token-bearer"],
            "",
        ),
        (
            format!("\u{feff}{token}"),
            &["token-byte-order-mark"],
            "EF BB BF",
        ),
        (
            json!({"count": 1, "value": token}).to_string(),
            &["token-envelope"],
            "`value`",
        ),
        (
            format!("{}\n", json!({"token": token})),
            &["token-envelope"],
            "`token`",
        ),
        (
            json!({"status": {"token": token}}).to_string(),
            &["token-envelope"],
            "`status.token`",
        ),
    ] {
        let seen = seen(&content);
        assert_eq!(found(&seen), expected, "{words}");
        let report = judge(&seen, NOW);
        assert!(
            report.findings[0].what.contains(words),
            "{:?}",
            report.findings[0]
        );
        assert_eq!(fact(&report, "sub"), SUBJECT);
        assert!(fact(&report, "signature").starts_with("right"));
    }
}

#[test]
fn what_is_no_token_is_named() {
    let token = good();
    let (cut, _) = token.split_at(token.rfind('.').unwrap() - 1);
    for (content, expected, words) in [
        (String::new(), "token-empty", "nothing"),
        ("\n".to_owned(), "token-empty", "nothing"),
        ("\"\"".to_owned(), "token-empty", "nothing"),
        ("s.hvs-1234".to_owned(), "token-form", "2 parts"),
        ("opaque".to_owned(), "token-form", "no dots"),
        ("a.b.c.d.e".to_owned(), "token-form", "encrypted"),
        ("!.b.c".to_owned(), "token-form", "header is no base64url"),
        ("e30=.e30.x".to_owned(), "token-form", "without padding"),
        (
            "eA.e30.".to_owned(),
            "token-form",
            "header is no JSON object",
        ),
        (cut.to_owned(), "token-form", "2 parts"),
        (
            format!("{token}\n{token}"),
            "token-form",
            "a character within it",
        ),
        (
            "{\"error\": \"denied\"}".to_owned(),
            "token-envelope",
            "no member",
        ),
        ("{\"error\"".to_owned(), "token-form", "no dots"),
    ] {
        let seen = seen(&content);
        assert_eq!(found(&seen), [expected], "{words}");
        let what = &judge(&seen, NOW).findings[0].what;
        assert!(what.contains(words), "{what}");
    }
}

/// PowerShell 5 writes so with `>`.
#[test]
fn a_text_of_two_bytes_a_character_is_named_and_read() {
    let token = good();
    let units = || std::iter::once(0xfeff_u16).chain(token.encode_utf16());
    let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        let mut seen = seen("");
        seen.file = FileSeen::of_text(&bytes);
        assert_eq!(found(&seen), ["token-utf-16"]);
        // Half a character at its end.
        seen.file = FileSeen::of_text(&bytes[..bytes.len() - 1]);
        assert!(found(&seen).contains(&"token-utf-16"));
    }
}

proptest::proptest! {
    /// Whatever a file holds is judged, and none of it that is no claim is said.
    #[test]
    fn any_text_is_judged(start in ".{0,9}", end in ".{0,9}", middle in proptest::bool::ANY) {
        let token = good();
        let content = format!("{start}{}{end}", if middle { token.as_str() } else { "" });
        let report = serde_json::to_string(&judge(&seen(&content), NOW)).unwrap();
        let signature = token.rsplit('.').next().unwrap();
        assert!(!report.contains(signature), "{report}");
    }
}

#[test]
fn a_file_that_others_can_read_is_remarked_on() {
    for (mode, expected) in [
        (0o600, None),
        (0o640, None),
        (0o644, Some("token-file-open")),
        (0o604, Some("token-file-open")),
    ] {
        let mut seen = seen(&good());
        seen.file.path = Some("/run/token".into());
        seen.file.mode = Some(mode);
        assert_eq!(found(&seen), expected.as_slice(), "{mode:o}");
        let file = fact(&judge(&seen, NOW), "file");
        assert_eq!(file, format!("/run/token, mode {mode:04o}"));
    }
}
