//! What generators write, read by what it is written for.

use std::io::Write;
use std::process::{Command, Stdio};

use runmint::policy::Document;
use runmint::trust::{Bundle, Form};

/// The JSON documents whose names begin so, as `runmint doctor policy` reads them.
pub(crate) fn policies(bundle: &Bundle, name: &str) -> Vec<Document> {
    let documents = bundle.documents.iter();
    documents
        .filter(|document| document.form == Form::Json && document.name.starts_with(name))
        .flat_map(|document| Document::all(&document.name, &document.text).unwrap())
        .collect()
}

/// Terraform's language, as `hcl-rs` reads it.
pub(crate) fn terraform_reads(text: &str) {
    let body = hcl::parse(text);
    assert!(body.is_ok_and(|body| body.blocks().count() > 0), "{text}");
}

/// A shell parses it; nothing is run.
pub(crate) fn sh_reads(text: &str) {
    let mut command = Command::new("sh");
    let command = command.arg("-n").stdin(Stdio::piped());
    let mut shell = command.spawn().unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    assert!(shell.wait().unwrap().success(), "{text}");
}
