//! Two values below each other, with what differs marked.

/// Lines that show what was asked for, what was found, and where they part. Of several values asked for,
/// the nearest is shown first.
pub(super) fn difference(wanted: &[String], found: &[String]) -> Vec<String> {
    let Some(found) = found.first() else {
        return wanted
            .iter()
            .map(|value| format!("asks for: {value}"))
            .collect();
    };
    let mut wanted: Vec<&String> = wanted.iter().collect();
    wanted.sort_by_key(|value| std::cmp::Reverse(common(value, found)));
    let Some((nearest, others)) = wanted.split_first() else {
        return vec![format!("token has: {found}")];
    };
    let mut lines = vec![
        format!("asks for:  {nearest}"),
        format!("token has: {found}"),
    ];
    let marks = marks(nearest, found);
    if !marks.trim().is_empty() {
        lines.push(format!("           {}", marks.trim_end()));
    }
    lines.extend(others.iter().map(|value| format!("or:        {value}")));
    lines
}

/// How many characters two values share at both ends.
fn common(one: &str, other: &str) -> usize {
    let (start, end) = ends(one, other);
    start + end
}

/// A `^` below each character of `found` that is not as asked for. Subjects are compared part by part, so
/// that a longer name in the middle does not mark all that follows.
fn marks(wanted: &str, found: &str) -> String {
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (found.split(':').collect(), wanted.split(':').collect());
    if ours.len() != theirs.len() || ours.len() == 1 {
        return mark(wanted, found);
    }
    let parts = ours.iter().zip(theirs).map(|(ours, theirs)| match theirs {
        "*" => " ".repeat(ours.chars().count()),
        theirs => mark(theirs, ours),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn mark(wanted: &str, found: &str) -> String {
    let length = found.chars().count();
    if wanted == found {
        return " ".repeat(length);
    }
    let (start, end) = ends(wanted, found);
    // What is missing leaves nothing to mark: the place where it is missing is.
    let middle = (length - start - end).max(1);
    format!("{}{}", " ".repeat(start), "^".repeat(middle))
        + &" ".repeat(length.saturating_sub(start + middle))
}

/// How many characters are the same at the start, and of the rest at the end.
fn ends(one: &str, other: &str) -> (usize, usize) {
    let same = |(a, b): &(char, char)| a == b;
    let start = one.chars().zip(other.chars()).take_while(same).count();
    let end = one
        .chars()
        .rev()
        .zip(other.chars().rev())
        .take_while(same)
        .count();
    let shorter = one.chars().count().min(other.chars().count());
    (start, end.min(shorter - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(wanted: &[&str], found: &[&str]) -> String {
        let owned = |values: &[&str]| values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>();
        difference(&owned(wanted), &owned(found)).join("\n")
    }

    #[test]
    fn the_part_of_a_subject_that_differs_is_marked() {
        assert_eq!(
            lines(
                &["organization:acme:project:p:workspace:prod:run_phase:*"],
                &["organization:acme:project:p:workspace:prod-x:run_phase:plan"]
            ),
            "asks for:  organization:acme:project:p:workspace:prod:run_phase:*\n\
             token has: organization:acme:project:p:workspace:prod-x:run_phase:plan\n\
             \u{20}                                                    ^^"
        );
    }

    #[test]
    fn a_slash_and_a_capital_are_marked() {
        assert_eq!(
            lines(&["https://ci.example.com/"], &["https://ci.example.com"]),
            "asks for:  https://ci.example.com/\ntoken has: https://ci.example.com\n\
             \u{20}                                ^"
        );
        assert_eq!(
            lines(&["Prod"], &["prod"]),
            "asks for:  Prod\ntoken has: prod\n           ^"
        );
    }

    #[test]
    fn the_nearest_of_several_comes_first() {
        let shown = lines(&["zzz", "aws.workload"], &["aws.workload.identity"]);
        assert!(shown.starts_with("asks for:  aws.workload\n"), "{shown}");
        assert!(shown.ends_with("or:        zzz"), "{shown}");
    }

    #[test]
    fn what_is_missing_is_not_compared() {
        assert_eq!(lines(&["a", "b"], &[]), "asks for: a\nasks for: b");
        assert_eq!(lines(&[], &["a"]), "token has: a");
    }
}
