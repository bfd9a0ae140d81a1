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
    fn arguments_are_those_of_the_function() {
        let expression =
            r#"claims.sub.startsWith( "a:\"b" ) || x.startsWith('c') || x.endsWith("d")"#;
        assert_eq!(arguments(expression, "startsWith"), [r#"a:\"b"#, "c"]);
        assert_eq!(arguments(expression, "endsWith"), ["d"]);
    }
}
