//! What an expression names, read from its text: for what is said about it, not for what it gives.

/// A part of an expression.
enum Piece {
    Code(String),
    Literal(String),
}

/// The claims that it names: `sub` for `claims.sub`, also `claims.?sub` and `claims['sub']`.
pub(super) fn claims_named(expression: &str) -> Vec<String> {
    let pieces = pieces(expression);
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    };
    for (index, piece) in pieces.iter().enumerate() {
        let Piece::Code(code) = piece else { continue };
        for (at, found) in code.match_indices("claims.") {
            let rest = code[at + found.len()..].trim_start_matches('?');
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            add(rest[..end].to_owned());
        }
        if without_blanks(code).ends_with("claims[")
            && let Some(Piece::Literal(name)) = pieces.get(index + 1)
        {
            add(name.clone());
        }
    }
    names
}

/// The literals that a function is called with: `"a"` for `x.startsWith("a")`.
pub(super) fn arguments(expression: &str, function: &str) -> Vec<String> {
    let call = format!(".{function}(");
    let pieces = pieces(expression);
    pieces
        .windows(2)
        .filter_map(|pair| match pair {
            [Piece::Code(code), Piece::Literal(literal)] => without_blanks(code)
                .ends_with(&call)
                .then(|| literal.clone()),
            _ => None,
        })
        .collect()
}

/// Whether an expression is one test of this text, such as `claims.sub`, or several of which one is enough,
/// and nothing else: no other variable, nothing that must not be. Where that is not plain, it is not.
pub(in crate::policy) fn tests_only(of: &str, expression: &str) -> bool {
    let mut code = String::new();
    for piece in pieces(expression) {
        match piece {
            Piece::Code(own) => code.push_str(&without_blanks(&own)),
            // A claim by its name in brackets.
            Piece::Literal(name)
                if (code.ends_with("claims[") || code.ends_with("assertion["))
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                code.pop();
                code.push('.');
                code.push_str(&name);
                code.push('[');
            }
            Piece::Literal(_) => code.push_str("''"),
        }
    }
    is_any(of, &code.replace("[]", ""))
}

/// Texts are `''`, and there are no blanks.
fn is_any(of: &str, code: &str) -> bool {
    let sides = code.match_indices("||").map(|(at, _)| at);
    let mut sides = sides.filter(|at| is_balanced(&code[..*at]));
    if let Some(at) = sides.next() {
        return is_any(of, &code[..at]) && is_any(of, &code[at + 2..]);
    }
    let inside = code
        .strip_prefix('(')
        .and_then(|code| code.strip_suffix(')'));
    if let Some(inside) = inside.filter(|inside| is_balanced(inside)) {
        return is_any(of, inside);
    }
    if code == format!("''=={of}") {
        return true;
    }
    let Some(test) = code.strip_prefix(of) else {
        return false;
    };
    let is_list = test
        .strip_prefix("in[")
        .and_then(|list| list.strip_suffix(']'))
        .is_some_and(|list| list.split(',').all(|item| item == "''"));
    is_list
        || test == "==''"
        || [
            ".startsWith('')",
            ".endsWith('')",
            ".contains('')",
            ".matches('')",
        ]
        .contains(&test)
}

/// Whether each bracket that is opened is closed, and none before.
fn is_balanced(code: &str) -> bool {
    let mut open = 0_usize;
    for c in code.chars() {
        match c {
            '(' | '[' => open += 1,
            ')' | ']' if open == 0 => return false,
            ')' | ']' => open -= 1,
            _ => {}
        }
    }
    open == 0
}

fn without_blanks(code: &str) -> String {
    code.split_whitespace().collect()
}

/// Escapes in literals stay as they are written.
fn pieces(expression: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut code = String::new();
    let mut rest = expression.chars();
    while let Some(c) = rest.next() {
        if c != '"' && c != '\'' {
            code.push(c);
            continue;
        }
        pieces.push(Piece::Code(std::mem::take(&mut code)));
        let mut literal = String::new();
        let mut is_escaped = false;
        for inside in rest.by_ref() {
            if inside == c && !is_escaped {
                break;
            }
            is_escaped = inside == '\\' && !is_escaped;
            literal.push(inside);
        }
        pieces.push(Piece::Literal(literal));
    }
    pieces.push(Piece::Code(code));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_literals_are_no_names() {
        let expression = r#"claims.sub == "claims.other" && claims.?email_verified.orValue(true)
            && claims.terraform_run_phase in ["plan"] && claims [ 'team' ] == 'x' && user.username != claims.sub"#;
        assert_eq!(
            claims_named(expression),
            ["sub", "email_verified", "terraform_run_phase", "team"]
        );
    }

    #[test]
    fn only_tests_of_one_text_are_taken_for_such() {
        for (expression, is_one) in [
            (r#"claims.sub == "a""#, true),
            (r#""a" == claims.sub"#, true),
            (r#"claims["sub"] == "a""#, true),
            ("claims.sub.startsWith('organization:a && b || !c:')", true),
            (r#"(claims.sub == "a" || (claims.sub.endsWith("b")))"#, true),
            (r#"(claims.sub == "a") || (claims.sub == "b")"#, true),
            (r#"claims.sub in ["a", "b"]"#, true),
            (
                r#"claims.sub.matches("^a$") || claims.sub.contains("x")"#,
                true,
            ),
            (
                r#"claims.sub == "a" && claims.sub.endsWith(":plan")"#,
                false,
            ),
            (r#"!claims.sub.contains("prod")"#, false),
            (r#"claims.sub != "a""#, false),
            (r#"claims.sub == "a" || claims.team == "x""#, false),
            (r#"claims.terraform_run_phase != "apply""#, false),
            (r#"claims["terraform_workspace_id"] == "ws-OTHER""#, false),
            (r#"claims.subject == "a""#, false),
            (r#"claims.sub in ["a", claims.team]"#, false),
            (r#"(claims.sub == "a" ? false : true)"#, false),
            (r#"(claims.sub == "a") == (claims.sub == "b")"#, false),
            (r#"claims.sub == r"a\" || true"#, false),
            ("claims.sub == \"a\" // so it is", false),
            ("true", false),
            ("", false),
        ] {
            assert_eq!(tests_only("claims.sub", expression), is_one, "{expression}");
        }
        assert!(tests_only("assertion.sub", "assertion['sub'] == 'a'"));
        assert!(tests_only("user.username", "user.username == 'a'"));
        assert!(!tests_only("claims.sub", "assertion.sub == 'a'"));
    }

    #[test]
    fn arguments_are_those_of_the_function() {
        let expression =
            r#"claims.sub.startsWith( "a:\"b" ) || x.startsWith('c') || x.endsWith("d")"#;
        assert_eq!(arguments(expression, "startsWith"), [r#"a:\"b"#, "c"]);
        assert_eq!(arguments(expression, "endsWith"), ["d"]);
    }
}
