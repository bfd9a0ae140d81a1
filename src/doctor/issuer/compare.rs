//! Two texts that should be equal byte for byte, and how they differ.

use super::seen::shown;

/// How `found` differs from `wanted`: in words, which read on from "it differs".
pub(in crate::doctor) fn how(wanted: &str, found: &str) -> &'static str {
    if wanted == found {
        return "in nothing";
    }
    if wanted.strip_suffix('/') == Some(found) || found.strip_suffix('/') == Some(wanted) {
        return "by a slash at the end";
    }
    if wanted.eq_ignore_ascii_case(found) {
        return "by upper and lower case only";
    }
    if wanted.trim() == found.trim() {
        return "by white space around it";
    }
    let (wanted, found) = (Parts::of(wanted), Parts::of(found));
    if wanted.scheme != found.scheme && wanted.rest() == found.rest() {
        return "by its scheme only";
    }
    if wanted.host != found.host {
        return "by its host";
    }
    if wanted.port != found.port {
        return "by its port";
    }
    "by its path"
}

/// Lines that show both, and where they part.
pub(in crate::doctor) fn side_by_side(
    wanted_name: &str,
    wanted: &str,
    found_name: &str,
    found: &str,
) -> Vec<String> {
    let width = wanted_name.chars().count().max(found_name.chars().count()) + 1;
    let (wanted, found) = (shown(wanted), shown(found));
    let pairs = wanted.chars().zip(found.chars());
    let same = pairs.take_while(|(wanted, found)| wanted == found).count();
    let line = |name: &str, value: &str| format!("{:width$} {value}", format!("{name}:"));
    vec![
        line(wanted_name, &wanted),
        line(found_name, &found),
        format!("{:width$} {}^", "", " ".repeat(same)),
    ]
}

struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        Self {
            scheme,
            host,
            port,
            path,
        }
    }

    fn rest(&self) -> (&str, &str, &str) {
        (self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_named() {
        for (wanted, found, expected) in [
            ("https://a.b", "https://a.b", "in nothing"),
            ("https://a.b", "https://a.b/", "by a slash at the end"),
            ("https://a.b/x/", "https://a.b/x", "by a slash at the end"),
            (
                "https://a.b/X",
                "https://a.b/x",
                "by upper and lower case only",
            ),
            ("https://a.b", " https://a.b\n", "by white space around it"),
            ("https://a.b", "http://a.b", "by its scheme only"),
            ("https://a.b", "https://a.c", "by its host"),
            ("https://a.b", "https://a.b:8443", "by its port"),
            ("https://a.b/x", "https://a.b/y", "by its path"),
        ] {
            assert_eq!(how(wanted, found), expected, "{wanted} {found}");
        }
    }

    #[test]
    fn a_mark_stands_under_the_first_difference() {
        let lines = side_by_side("asked for", "https://a.b", "issuer", "https://a.b/");
        assert_eq!(
            lines,
            [
                "asked for: https://a.b",
                "issuer:    https://a.b/",
                "                      ^",
            ]
        );
    }
}
