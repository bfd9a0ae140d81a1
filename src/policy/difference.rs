//! In what two texts differ, said so that a person sees it.

/// How a text of a policy and one of a token differ, where a relying party compares them letter by
/// letter; reads on from a name, as in "`sub` differs only by letter case". The texts are not equal.
pub(super) fn difference(policy: &str, token: &str) -> String {
    let is_only = |of: fn(&str) -> String| of(policy) == of(token);
    if is_only(|text| text.trim().to_owned()) {
        return "differs only by blanks at an end, which count".to_owned();
    }
    if is_only(|text| text.trim_end_matches('/').to_owned()) {
        return "is equal up to a trailing slash, which counts".to_owned();
    }
    if is_only(str::to_ascii_lowercase) {
        return "differs only by letter case, which counts".to_owned();
    }
    if is_only(|text| text.trim().trim_end_matches('/').to_ascii_lowercase()) {
        return "differs only by letter case, blanks and a trailing slash, all of which count"
            .to_owned();
    }
    if policy.contains('*') {
        return "is compared letter by letter: `*` is no wildcard here".to_owned();
    }
    if is_only(|text| text.trim_start_matches("https://").to_owned()) {
        return "is equal up to `https://`, which counts".to_owned();
    }
    if let Some(rest) = token.strip_prefix(policy) {
        return format!("goes on with `{rest}` where the policy's text ends");
    }
    if let Some(rest) = policy.strip_prefix(token) {
        return format!("ends where the policy's text goes on with `{rest}`");
    }
    let at = policy
        .char_indices()
        .zip(token.chars())
        .find(|((_, one), other)| one != other)
        .map_or(token.len().min(policy.len()), |((at, _), _)| at);
    if at == 0 {
        return format!("is `{token}`, and the policy has `{policy}`");
    }
    let rest = |text: &str| text.get(at..).unwrap_or_default().to_owned();
    format!(
        "is equal up to character {}; then the policy has `{}`, the token `{}`",
        policy.get(..at).map_or(0, |start| start.chars().count()),
        rest(policy),
        rest(token)
    )
}

/// Of several texts of a policy the one that was meant: the only one, or the one that differs in case, blanks
/// or a slash at most.
pub(super) fn nearest<'a>(policy: &'a [String], token: &str) -> Option<&'a String> {
    let core = |text: &str| text.trim().trim_end_matches('/').to_ascii_lowercase();
    let alike = policy.iter().find(|text| core(text) == core(token));
    match policy {
        [only] => Some(only),
        _ => alike,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_difference_is_named() {
        for (policy, token, said) in [
            ("https://ci/", "https://ci", "trailing slash"),
            ("https://CI", "https://ci", "letter case"),
            (" https://ci", "https://ci", "blanks"),
            (
                "HTTPS://ci/ ",
                "https://ci",
                "letter case, blanks and a trailing slash",
            ),
            ("a:prod:*", "a:prod:plan", "`*` is no wildcard"),
            ("a:prod", "a:prod-x", "goes on with `-x`"),
            ("a:plan", "a:apply", "up to character 2"),
            ("ä:plan", "ä:apply", "up to character 2"),
            ("x", "y", "is `y`, and the policy has `x`"),
            ("a:prod-x", "a:prod", "goes on with `-x`"),
            ("ci.example.com", "https://ci.example.com", "`https://`"),
        ] {
            let text = difference(policy, token);
            assert!(text.contains(said), "{policy} {token}: {text}");
        }
    }

    #[test]
    fn the_nearest_of_several_is_the_one_that_was_meant() {
        let policy = ["a/".to_owned(), "b".to_owned()];
        assert_eq!(nearest(&policy, "A"), Some(&policy[0]));
        assert_eq!(nearest(&policy, "c"), None);
        assert_eq!(nearest(&policy[1..], "c"), Some(&policy[1]));
    }
}
