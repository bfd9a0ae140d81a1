//! How two texts differ, in words.

/// Why `found` is not `wanted`; both are plain texts that are compared byte for byte.
pub(super) fn between(wanted: &str, found: &str) -> String {
    if wanted.eq_ignore_ascii_case(found) {
        return format!("`{found}` differs from `{wanted}` in upper and lower case only");
    }
    if wanted.trim_end_matches('/') == found.trim_end_matches('/') {
        return format!("`{found}` differs from `{wanted}` in a slash at the end only");
    }
    if wanted.trim() == found.trim() {
        return format!("`{found}` differs from `{wanted}` in spaces at its ends only");
    }
    format!("`{found}` is not `{wanted}`")
}

/// The difference to the nearest of several.
pub(super) fn nearest(wanted: &[String], found: &str) -> String {
    let differs_little = |candidate: &&String| {
        candidate.eq_ignore_ascii_case(found)
            || candidate.trim().trim_end_matches('/') == found.trim().trim_end_matches('/')
    };
    match (wanted.iter().find(differs_little), wanted) {
        (Some(near), _) => between(near, found),
        (None, [only]) => between(only, found),
        (None, _) => format!("`{found}` is none of them"),
    }
}
