//! One CEL expression over a token's claims: compiled, type-checked, evaluated. The only user of
//! `cel`, which parses and evaluates but does not check types.
//!
//! Who wrote it decides what it may name and do: a rule of a trusted issuer is bounded, since strangers'
//! tokens are held against it; a relying party's policy is held against one token, at somebody's desk.

mod check;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value};

use self::check::{Fault, Kind, check, kind_of};
use crate::domain::InvalidField;

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    program: Program,
}

/// Whose expression it is: which variables it sees, and whether it is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// GCP's attribute mappings and conditions: `assertion`, and in conditions `google` and `attribute`
    /// (IAM's reference, "workload identity pool providers").
    Gcp,
    /// The API server's claim mappings and rules: `claims`, and `user` in rules about users
    /// (Kubernetes' documentation, "Authenticating", structured configuration).
    Kubernetes,
    /// Our own rules of trusted issuers: `claims`; nothing whose cost grows faster than the token.
    Rule,
}

/// What an expression must give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// True or false.
    Bool,
    /// A text.
    Text,
    /// A text or a list of them.
    Texts,
}

/// What expressions see: a token's claims under a name, and what else a dialect has.
pub struct Variables(Context<'static, 'static>);

/// In bytes; only what is used of it takes memory.
const STACK: usize = 1 << 28;

/// The standard functions, and CEL's extension library of text functions (`split`, `replace`, …).
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // It fails only for a function that is declared already; without it, the unit tests below fail.
    let _ = env.add_extension(cel::extensions::strings);
    Arc::new(env)
});

impl Expression {
    /// Parses an expression and checks names, functions and types.
    ///
    /// # Errors
    /// Names `field` and the place in the text.
    pub fn compile(
        field: &str,
        source: &str,
        dialect: Dialect,
        wanted: Wanted,
    ) -> Result<Self, InvalidField> {
        let refuse = |rule: String| InvalidField::new(field, rule);
        let longest = dialect.longest();
        if source.len() > longest {
            return Err(refuse(format!("is longer than {longest} bytes")));
        }
        let program = on_a_large_stack(|| compile(source, dialect, wanted)).map_err(refuse)?;
        Ok(Self {
            source: source.to_owned(),
            program,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// Why it could not be said, e.g. a claim that is not there.
    pub fn holds(&self, variables: &Variables) -> Result<bool, String> {
        match self.program.execute(&variables.0) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!(
                "it gives {}, not true or false",
                kind_of(&other).name()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text that it gives.
    ///
    /// # Errors
    /// Why it gives none.
    pub fn text(&self, variables: &Variables) -> Result<String, String> {
        match self.program.execute(&variables.0) {
            Ok(Value::String(text)) => Ok(text.as_str().to_owned()),
            Ok(other) => Err(format!(
                "it gives {}, not a text; `string(…)` makes one of a number",
                kind_of(&other).name()
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The texts that it gives: one, or a list of them.
    ///
    /// # Errors
    /// Why it gives none.
    pub fn texts(&self, variables: &Variables) -> Result<Vec<String>, String> {
        let not_text = |found: &Value| format!("it gives {}, not a text", kind_of(found).name());
        match self.program.execute(&variables.0) {
            Ok(Value::String(text)) => Ok(vec![text.as_str().to_owned()]),
            Ok(Value::List(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.as_str().to_owned()),
                    other => Err(not_text(other)),
                })
                .collect(),
            Ok(Value::Null) => Ok(Vec::new()),
            Ok(other) => Err(not_text(&other)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Dialect {
    /// The longest expression, in bytes. Ours: longer ones are programs, not conditions. GCP takes
    /// 4,096 (IAM's reference, `attributeCondition`).
    fn longest(self) -> usize {
        match self {
            Self::Gcp => 4_096,
            Self::Kubernetes => 16_384,
            Self::Rule => 2_048,
        }
    }

    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Gcp => &["assertion", "attribute", "google"],
            Self::Kubernetes => &["claims", "user"],
            Self::Rule => &["claims"],
        }
    }
}

impl Variables {
    /// One variable, a JSON object: the payload of a token as `claims` or `assertion`.
    pub fn new(name: &'static str, payload: &serde_json::Value) -> Self {
        let context = Context::with_env(Arc::clone(&ENVIRONMENT));
        Self(context).with(name, payload)
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &serde_json::Value) -> Self {
        self.0.add_variable_from_value(name, value_of(value));
        self
    }
}

/// The parser takes some hundred kilobytes of stack for each level of nesting, and a stack that
/// overflows would take the server down.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let running = thread.spawn_scoped(scope, work);
        let running = running.map_err(|error| format!("cannot be compiled now: {error}"))?;
        let panicked = |_| Err("cannot be compiled: the compiler panicked".to_owned());
        running.join().unwrap_or_else(panicked)
    })
}

fn compile(source: &str, dialect: Dialect, wanted: Wanted) -> Result<Program, String> {
    let program = ENVIRONMENT.compile(source).map_err(|errors| {
        errors.errors.first().map_or_else(
            || "is no CEL expression".to_owned(),
            |error| {
                let (line, column) = (error.pos.0.max(1), error.pos.1.max(1));
                // Some of the parser's messages hold its innards.
                let message = error.msg.split(": OtherError").next().unwrap_or_default();
                format!("is no CEL expression: line {line}, column {column}: {message}")
            },
        )
    })?;
    let found = check(program.expression(), dialect);
    let found = found.map_err(|Fault { id, message }| {
        let offset = program.source_info().offset_for(id);
        let (line, column) = place(source, offset.map_or(0, |(start, _)| start as usize));
        format!("is wrong at line {line}, column {column}: {message}")
    })?;
    let (fits, wanted) = match wanted {
        Wanted::Bool => (found.may_be(Kind::Bool), "true or false"),
        Wanted::Text => (found.may_be(Kind::Text), "a text"),
        Wanted::Texts => (
            found.may_be(Kind::Text) || found == Kind::List,
            "a text or a list of texts",
        ),
    };
    if fits {
        Ok(program)
    } else {
        Err(format!("gives {}; it must give {wanted}", found.name()))
    }
}

/// Whole numbers are `int` in CEL, as Kubernetes has it.
fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            let int = number.as_i64().map(Value::Int);
            let uint = || number.as_u64().map(Value::UInt);
            let float = || number.as_f64().map(Value::Float);
            int.or_else(uint).or_else(float).unwrap_or(Value::Null)
        }
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => {
            Value::from(items.iter().map(value_of).collect::<Vec<_>>())
        }
        serde_json::Value::Object(members) => Value::from(
            members
                .iter()
                .map(|(name, value)| (name.clone(), value_of(value)))
                .collect::<HashMap<String, Value>>(),
        ),
    }
}

/// Line and column of a character, both from 1.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before: String = source.chars().take(offset).collect();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |rest| rest.chars().count())
        + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(source: &str, wanted: Wanted) -> String {
        let error =
            Expression::compile("conditions[0]", source, Dialect::Rule, wanted).unwrap_err();
        assert_eq!(error.field, "conditions[0]");
        error.rule
    }

    fn holds(source: &str, claims: &serde_json::Value) -> Result<bool, String> {
        Expression::compile("c", source, Dialect::Rule, Wanted::Bool)
            .unwrap()
            .holds(&Variables::new("claims", claims))
    }

    fn text(source: &str, claims: &serde_json::Value) -> Result<String, String> {
        Expression::compile("c", source, Dialect::Rule, Wanted::Text)
            .unwrap()
            .text(&Variables::new("claims", claims))
    }

    #[test]
    fn conditions_hold_or_do_not() {
        let claims = json!({
            "sub": "system:serviceaccount:ci:runner", "n": 5, "big": 1e300, "yes": true,
            "huge": 18_446_744_073_709_551_615_u64, "groups": ["a", "b"], "kubernetes.io": {"namespace": "ci"}, "none": null,
        });
        for (source, expected) in [
            ("claims.sub == 'system:serviceaccount:ci:runner'", true),
            ("claims.sub.startsWith('system:') && claims.n == 5", true),
            ("claims['kubernetes.io'].namespace == 'ci'", true),
            (
                "claims['kubernetes.io']['namespace'] in ['ci', 'build']",
                true,
            ),
            ("has(claims.sub) && !has(claims.other)", true),
            ("'a' in claims.groups && !('c' in claims.groups)", true),
            ("claims.groups.exists(g, g == 'b')", true),
            ("claims.groups.exists(g, g in ['b', 'c'])", true),
            ("claims.huge == 18446744073709551615u", true),
            ("string(claims.huge) == '18446744073709551615'", true),
            ("claims.groups.all(g, g != 'c')", true),
            ("claims.groups.filter(g, g != 'a').size() == 1", true),
            ("size(claims.groups.map(g, g + '!')) == 2", true),
            ("claims.n > 4 && claims.n * 2 <= 10", true),
            (
                "claims.sub.matches('^system:serviceaccount:[a-z]+:runner$')",
                true,
            ),
            ("claims.yes", true),
            ("claims.none == null", true),
            ("claims.n == 6 || claims.sub == ''", false),
        ] {
            assert_eq!(holds(source, &claims), Ok(expected), "{source}");
        }
    }

    #[test]
    fn texts_are_made_of_claims() {
        let claims = json!({"repository": "acme/Net-1", "run": 7, "ref": "refs/heads/main"});
        for (source, expected) in [
            ("'acme'", "acme"),
            ("claims.repository.split('/')[1].lowerAscii()", "net-1"),
            (
                "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'",
                "apply",
            ),
            ("'run-' + string(claims.run)", "run-7"),
            ("claims.ref.substring(11).replace('a', 'o').trim()", "moin"),
            (
                "claims.repository.split('/').join('-').upperAscii()",
                "ACME-NET-1",
            ),
            (
                "string(claims.ref.indexOf('/') + claims.ref.lastIndexOf('/'))",
                "14",
            ),
            (
                "claims.ref.charAt(0) + string(int('5')) + string(size('ab'))",
                "r52",
            ),
        ] {
            assert_eq!(text(source, &claims), Ok(expected.to_owned()), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_an_error_and_never_true() {
        let claims = json!({"n": 5, "t": "x"});
        for source in [
            "claims.missing == 'x'",
            "claims.n",
            "claims.t.startsWith('x') && claims.n",
        ] {
            holds(source, &claims).unwrap_err();
        }
        assert!(text("claims.n", &claims).unwrap_err().contains("a number"));
        assert!(
            text("claims.missing", &claims)
                .unwrap_err()
                .contains("missing")
        );
        text("claims.t.split('/')[1]", &claims).unwrap_err();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (source, place, word) in [
            ("claims.sub ==", "line 1, column", ""),
            (
                "claim.sub == 'x'",
                "line 1, column 1:",
                "`claim` is not known",
            ),
            ("'u' == 'u' && x", "line 1, column 15:", "`x` is not known"),
            (
                "true &&\n  subject",
                "line 2, column 3:",
                "`subject` is not known",
            ),
            (
                "claims.sub.beginsWith('x')",
                "line 1",
                "no function `beginsWith`",
            ),
            ("claims.sub.startsWith(5)", "line 1", "`startsWith`"),
            ("startsWith(claims.sub, 'x')", "line 1", "`startsWith`"),
            ("'x'.lowerAscii() == 5", "line 1", "never equal"),
            ("claims.a && 'x'", "line 1", "true or false"),
            ("!'x'", "line 1", "true or false"),
            ("'a' + 5 == 'a5'", "line 1", "`+`"),
            ("'a'.b == 'c'", "line 1", "no member `b`"),
            ("'a' < 5", "line 1", "no order"),
            ("'a' in 'abc'", "line 1", "`in`"),
            (
                "claims.sub.matches('(')",
                "line 1, column 20:",
                "regular expression",
            ),
            (
                "claims.sub.matches(claims.pattern)",
                "line 1, column",
                "in quotes",
            ),
            (
                "claims.a.exists(x, claims.b.exists(y, x == y))",
                "line 1",
                "inside another",
            ),
            ("'a'.exists(x, true)", "line 1", "no elements"),
            (
                "claims.a.exists(x, x.matches('a'))",
                "line 1",
                "not allowed inside",
            ),
            (
                "claims.a.all(x, x.split('a').size() == 1)",
                "line 1",
                "not allowed inside",
            ),
            (
                "claims.a.exists(x, x in claims.b)",
                "line 1",
                "written here",
            ),
            (
                "claims.a.replace('a', claims.b) == ''",
                "line 1",
                "in quotes",
            ),
            ("size({'a': 1}) == 1", "line 1", "maps"),
            ("optional.of(1).hasValue()", "line 1", ""),
            ("type(claims.sub) == string", "line 1", ""),
        ] {
            let rule = refusal(source, Wanted::Bool);
            assert!(
                rule.contains(place) && rule.contains(word),
                "{source}: {rule}"
            );
        }
        assert!(refusal("'x'", Wanted::Bool).contains("gives a text"));
        assert!(refusal("1 + 1", Wanted::Text).contains("gives a number"));
        assert!(refusal("", Wanted::Text).contains("no CEL expression"));
        assert!(refusal(&"(".repeat(3_000), Wanted::Bool).contains("longer than"));
        refusal(
            &format!("{}true{}", "(".repeat(900), ")".repeat(900)),
            Wanted::Bool,
        );
        let deep = [
            format!("1{} == 1", "+1".repeat(900)),
            format!("claims{} == 1", "[0]".repeat(600)),
            format!("{}1{} == 1", "[".repeat(30), "]".repeat(30)),
        ];
        for source in deep {
            assert!(refusal(&source, Wanted::Bool).contains("nested too deeply"));
        }
    }

    #[test]
    fn what_is_allowed_fits_the_stack_of_a_worker() {
        let source = format!("1{} == 1", "+1".repeat(20));
        assert_eq!(holds(&source, &json!({})), Ok(false));
        let conditions = vec!["claims.a == 'b'"; 100].join(" && ");
        assert_eq!(holds(&conditions, &json!({"a": "b"})), Ok(true));
    }
}
