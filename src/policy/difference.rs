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
    if let Some(rest) = token.strip_prefix(policy) {
        return format!("goes on with `{rest}` where the policy's text ends");
    }
    let at = policy
        .char_indices()
        .zip(token.chars())
        .find(|((_, one), other)| one != other)
        .map_or(token.len().min(policy.len()), |((at, _), _)| at);
    if at == 0 {
        return "is something else".to_owned();
    }
    let rest = |text: &str| text.get(at..).unwrap_or_default().to_owned();
    format!(
        "is equal up to character {}; then the policy has `{}`, the token `{}`",
        policy.get(..at).map_or(0, |start| start.chars().count()),
        rest(policy),
        rest(token)
    )
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
            ("x", "y", "something else"),
            ("a:prod-x", "a:prod", "then the policy has `-x`"),
        ] {
            let text = difference(policy, token);
            assert!(text.contains(said), "{policy} {token}: {text}");
        }
    }
}
