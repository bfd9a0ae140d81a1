//! Terraform's language, laid out as `terraform fmt` lays it out.

use std::fmt::Write;

use serde_json::Value as Json;

/// A block, such as `resource "aws_iam_role" "runmint" { … }`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    head: String,
    items: Vec<Item>,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// True or false.
    Bool(bool),
    /// An expression as it stands: a reference, a call.
    Expression(String),
    /// A call with one argument, such as `jsonencode(…)`.
    Call(&'static str, Box<Value>),
    /// A list.
    List(Vec<Value>),
    /// An object; names that are no identifiers are quoted.
    Object(Vec<(String, Value)>),
    /// A whole number.
    Number(i64),
    /// A text; what Terraform would expand in it is escaped.
    Text(String),
}

#[derive(Clone, Debug)]
enum Item {
    Attribute(String, Value),
    Block(Block),
    Comment(String),
}

impl Block {
    /// A block without items.
    pub(super) fn new(head: impl Into<String>) -> Self {
        Self {
            head: head.into(),
            items: Vec::new(),
        }
    }

    /// With an attribute.
    pub(super) fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.items.push(Item::Attribute(name.into(), value.into()));
        self
    }

    /// With a block inside.
    pub(super) fn inside(mut self, block: Self) -> Self {
        self.items.push(Item::Block(block));
        self
    }

    /// With a line of comment.
    pub(super) fn noting(mut self, comment: impl Into<String>) -> Self {
        self.items.push(Item::Comment(comment.into()));
        self
    }

    fn write(&self, out: &mut String, indent: usize) {
        let _ = writeln!(out, "{:indent$}{} {{", "", self.head);
        let inside = indent + 2;
        let mut rest = self.items.as_slice();
        let mut is_first = true;
        while let Some((item, after)) = rest.split_first() {
            match item {
                Item::Attribute(..) => {
                    let run = rest.iter().map_while(|item| match item {
                        Item::Attribute(name, value) => Some((name.as_str(), value)),
                        Item::Block(_) | Item::Comment(_) => None,
                    });
                    let run: Vec<_> = run.collect();
                    rest = &rest[run.len()..];
                    write_attributes(out, &run, inside);
                    is_first = false;
                    continue;
                }
                Item::Block(block) => {
                    if !is_first {
                        out.push('\n');
                    }
                    block.write(out, inside);
                }
                Item::Comment(comment) => {
                    let _ = writeln!(out, "{:inside$}# {comment}", "");
                }
            }
            is_first = false;
            rest = after;
        }
        let _ = writeln!(out, "{:indent$}}}", "");
    }
}

/// A file of blocks.
pub(super) fn file(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        block.write(&mut out, 0);
    }
    out
}

/// The `=` of neighbours stand below each other, but for values of several lines.
fn write_attributes(out: &mut String, attributes: &[(&str, &Value)], indent: usize) {
    let mut rest = attributes;
    while let Some((name, value)) = rest.first() {
        if value.is_long() {
            let _ = write!(out, "{:indent$}{name} = ", "");
            value.write(out, indent);
            out.push('\n');
            rest = &rest[1..];
            continue;
        }
        let short = rest.iter().take_while(|(_, value)| !value.is_long());
        let short: Vec<_> = short.collect();
        let width = short.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        for (name, value) in &short {
            let _ = write!(out, "{:indent$}{name:width$} = ", "");
            value.write(out, indent);
            out.push('\n');
        }
        rest = &rest[short.len()..];
    }
}

impl Value {
    /// Whether it takes several lines.
    fn is_long(&self) -> bool {
        match self {
            Self::Object(members) => !members.is_empty(),
            Self::Call(_, argument) => argument.is_long(),
            Self::List(items) => items.len() > 1 || items.iter().any(Self::is_long),
            // A heredoc does not break the row, though it has several lines.
            Self::Expression(text) => text.contains('\n') && !text.starts_with("<<"),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    fn write(&self, out: &mut String, indent: usize) {
        let inside = indent + 2;
        match self {
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Expression(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Call(function, argument) => {
                let _ = write!(out, "{function}(");
                argument.write(out, indent);
                out.push(')');
            }
            Self::List(items) if !self.is_long() => {
                out.push('[');
                for item in items {
                    item.write(out, indent);
                }
                out.push(']');
            }
            Self::List(items) => {
                out.push_str("[\n");
                for item in items {
                    let _ = write!(out, "{:inside$}", "");
                    item.write(out, inside);
                    out.push_str(",\n");
                }
                let _ = write!(out, "{:indent$}]", "");
            }
            Self::Object(members) if members.is_empty() => out.push_str("{}"),
            Self::Object(members) => {
                out.push_str("{\n");
                let names: Vec<String> = members.iter().map(|(name, _)| key(name)).collect();
                let members = names.iter().map(String::as_str);
                let members: Vec<_> = members.zip(self.members()).collect();
                write_attributes(out, &members, inside);
                let _ = write!(out, "{:indent$}}}", "");
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = &Self> {
        let members: &[(String, Self)] = match self {
            Self::Object(members) => members,
            _ => &[],
        };
        members.iter().map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// What is JSON at the relying party; for `jsonencode`. Numbers must be whole.
impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Expression("null".to_owned()),
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Expression(number.to_string()),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// `jsonencode(…)`.
pub(super) fn jsonencode(json: &Json) -> Value {
    Value::Call("jsonencode", Box::new(json.into()))
}

fn key(name: &str) -> String {
    let is_identifier = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if is_identifier {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A quoted template without any (Terraform's language, "Strings and Templates").
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace("${", "$${")
        .replace("%{", "%%{");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_laid_out_as_terraform_fmt_does_it() {
        let policy = json!({
            "Statement": [{"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {
                "StringLike": {"ci.example.com:sub": ["a:*", "b"]}}, "Effect": "Allow"}],
            "Version": "2012-10-17",
        });
        let role = Block::new(r#"resource "aws_iam_role" "runmint""#)
            .noting("Who may use it is in the policy.")
            .with("name", "a${b}")
            .with("max_session_duration", 3600)
            .with("assume_role_policy", jsonencode(&policy))
            .with("tags", Value::Object(Vec::new()))
            .inside(Block::new("lifecycle").with("prevent_destroy", true));
        let list = Block::new("locals")
            .with("one", vec!["a"])
            .with("longer", vec!["a", "b"]);
        assert_eq!(
            file(&[role, list]),
            r#"resource "aws_iam_role" "runmint" {
  # Who may use it is in the policy.
  name                 = "a$${b}"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Statement = [
      {
        Action = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringLike = {
            "ci.example.com:sub" = [
              "a:*",
              "b",
            ]
          }
        }
        Effect = "Allow"
      },
    ]
    Version = "2012-10-17"
  })
  tags = {}

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  one = ["a"]
  longer = [
    "a",
    "b",
  ]
}
"#
        );
    }
}
