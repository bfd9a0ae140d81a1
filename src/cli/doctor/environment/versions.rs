//! Looks for versions in what package managers leave behind. No program is asked: `aws --version` and
//! the like take seconds, and do what their own configuration says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::doctor::environment::{Version, find_product};
use crate::runner::Environment;

/// Python's folders of packages, where the environment names none; `*` is any version.
const PYTHON: [&str; 6] = [
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3*/site-packages",
    "/usr/local/lib/python3*/dist-packages",
    "/usr/local/lib/python3*/site-packages",
    "/opt/az/lib/python3*/site-packages",
    "/usr/lib64/az/lib/python3*/site-packages",
];

/// A package and what it is called in [`find_product`].
const PYTHON_PACKAGES: [(&str, &str); 6] = [
    ("awscli", "aws-cli"),
    ("azure-cli", "azure-cli"),
    ("azure-identity", "azure-identity"),
    ("boto3", "boto3"),
    ("botocore", "botocore"),
    ("kubernetes", "kubernetes"),
];
const NODE_PACKAGES: [(&str, &str); 5] = [
    ("aws-sdk", "aws-sdk-js"),
    ("@aws-sdk/credential-provider-node", "aws-sdk-js"),
    ("@aws-sdk/client-sts", "aws-sdk-js"),
    ("@azure/identity", "@azure/identity"),
    ("@kubernetes/client-node", "@kubernetes/client-node"),
];
const GO_MODULES: [(&str, &str); 3] = [
    ("github.com/aws/aws-sdk-go", "aws-sdk-go"),
    (
        "github.com/Azure/azure-sdk-for-go/sdk/azidentity",
        "azidentity",
    ),
    ("k8s.io/client-go", "client-go"),
];

/// What a lock file tells: names of products and their versions.
type Reads = fn(&str) -> Vec<(&'static str, String)>;

/// What is found on this machine and beside the code.
pub(super) fn found(environment: &Environment, code: &Path) -> Vec<Version> {
    let mut found = Vec::new();
    aws_cli(environment, &mut found);
    python(environment, code, &mut found);
    node(code, &mut found);
    let files: [(&str, Reads); 4] = [
        ("go.mod", go),
        ("Gemfile.lock", ruby),
        ("composer.lock", php),
        (".terraform.lock.hcl", terraform),
    ];
    for (name, read) in files {
        let path = code.join(name);
        if let Ok(text) = std::fs::read_to_string(&path) {
            for (product, version) in read(&text) {
                add(&mut found, product, &version, &path);
            }
        }
    }
    found
}

fn add(found: &mut Vec<Version>, name: &str, version: &str, place: &Path) {
    if let Some(product) = find_product(name, version) {
        found.push(Version {
            product,
            text: version.to_owned(),
            place: place.display().to_string(),
        });
    }
}

/// Version 2 comes as a folder that is called after it: `…/aws-cli/v2/2.15.0/dist/aws`.
fn aws_cli(environment: &Environment, found: &mut Vec<Version>) {
    let path = environment.find("PATH").unwrap_or_default();
    let programs = path.split(':').map(|folder| Path::new(folder).join("aws"));
    let Some(program) = programs.into_iter().find(|program| program.is_file()) else {
        return;
    };
    let real = program.canonicalize().unwrap_or(program);
    let mut parts = real.iter().filter_map(|part| part.to_str());
    let version = parts.find(|part| part.starts_with("2.") && part.contains('.'));
    if let Some(version) = version {
        add(found, "aws-cli", version, &real);
    }
}

fn python(environment: &Environment, code: &Path, found: &mut Vec<Version>) {
    let mut patterns: Vec<String> = PYTHON.iter().map(|&path| path.to_owned()).collect();
    let in_python_path = environment.find("PYTHONPATH").unwrap_or_default();
    patterns.extend(in_python_path.split(':').map(str::to_owned));
    let roots = [
        environment.find("VIRTUAL_ENV").map(PathBuf::from),
        environment
            .find("HOME")
            .map(|home| Path::new(home).join(".local")),
        Some(code.join(".venv")),
        Some(code.join("venv")),
    ];
    patterns.extend(
        roots
            .into_iter()
            .flatten()
            .map(|root| format!("{}/lib/python3*/site-packages", root.display())),
    );
    for folder in patterns.iter().flat_map(|pattern| folders(pattern)) {
        for name in names_in(&folder) {
            if let Some((product, version)) = distribution(&name) {
                add(found, product, version, &folder.join(&name));
            }
        }
    }
}

/// `boto3-1.9.0.dist-info` and `.egg-info`: how an installer names what it has installed (Python packaging
/// user guide, "Recording installed projects").
fn distribution(name: &str) -> Option<(&'static str, &str)> {
    let stem = name
        .strip_suffix(".dist-info")
        .or_else(|| name.strip_suffix(".egg-info"))?;
    // An egg may have Python's version at its end: `boto3-1.9.0-py3.8`.
    let (package, rest) = stem.split_once('-')?;
    let version = rest.split('-').next()?;
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let package = package.to_ascii_lowercase().replace(['_', '.'], "-");
    let known = PYTHON_PACKAGES.iter().find(|(name, _)| *name == package)?;
    Some((known.1, version))
}

/// The folders of a path in which one part may have a `*` at its end or in it.
fn folders(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let Some((parent, start)) = before.rsplit_once('/') else {
        return Vec::new();
    };
    let mut names = names_in(Path::new(parent));
    names.retain(|name| name.starts_with(start));
    names
        .into_iter()
        .map(|name| PathBuf::from(format!("{parent}/{name}{after}")))
        .collect()
}

/// The names in a folder, in alphabetical order; none if it cannot be read.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn node(code: &Path, found: &mut Vec<Version>) {
    for (package, product) in NODE_PACKAGES {
        let path = code.join("node_modules").join(package).join("package.json");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(version) = value["version"].as_str() {
            add(found, product, version, &path);
        }
    }
}

/// `require example.com/module v1.2.3`, alone or in a list.
fn go(text: &str) -> Vec<(&'static str, String)> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        let (module, version) = (words.next()?, words.next()?);
        let (_, product) = GO_MODULES.iter().find(|(name, _)| *name == module)?;
        Some((*product, version.to_owned()))
    });
    lines.collect()
}

/// `    aws-sdk-core (3.58.0)`
fn ruby(text: &str) -> Vec<(&'static str, String)> {
    let lines = text.lines().filter_map(|line| {
        let version = line.trim().strip_prefix("aws-sdk-core (")?;
        let version = version.strip_suffix(')')?;
        let is_locked = version.starts_with(|c: char| c.is_ascii_digit());
        is_locked.then(|| ("aws-sdk-ruby", version.to_owned()))
    });
    lines.collect()
}

fn php(text: &str) -> Vec<(&'static str, String)> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let packages = value["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "aws/aws-sdk-php")
        .filter_map(|package| Some(("aws-sdk-php", package["version"].as_str()?.to_owned())))
        .collect()
}

/// `provider "registry.terraform.io/hashicorp/azurerm" {` and then `version = "3.7.0"`
fn terraform(text: &str) -> Vec<(&'static str, String)> {
    let mut lines = text.lines().map(str::trim);
    let is_azurerm = |line: &str| line.starts_with("provider ") && line.contains("/azurerm\"");
    if !lines.any(is_azurerm) {
        return Vec::new();
    }
    let block = lines.take_while(|line| *line != "}");
    let version = block
        .filter_map(|line| line.strip_prefix("version"))
        .find_map(|rest| rest.split('"').nth(1).map(str::to_owned));
    version
        .map(|version| ("azurerm", version))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_files_tell_versions() {
        let lock = "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.1.0\"\n}\n\n\
                    provider \"registry.terraform.io/hashicorp/azurerm\" {\n  version     = \"3.6.0\"\n  \
                    constraints = \"~> 3.0\"\n}\n";
        assert_eq!(terraform(lock), [("azurerm", "3.6.0".to_owned())]);
        assert_eq!(
            terraform("provider \"x/aws\" {\n  version = \"1\"\n}\n"),
            []
        );
        let modules = "module m\n\nrequire k8s.io/client-go v0.15.0\n\nrequire (\n\tgithub.com/aws/aws-sdk-go \
                       v1.23.12 // indirect\n\tgithub.com/aws/aws-sdk-go-v2 v1.0.0\n)\n";
        let versions = [("client-go", "v0.15.0"), ("aws-sdk-go", "v1.23.12")];
        assert_eq!(go(modules), versions.map(|(name, v)| (name, v.to_owned())));
        let gems = "  specs:\n    aws-sdk-core (3.50.0)\n      aws-sigv4 (~> 1.1)\n    aws-sdk-s3 (1.0)\n      \
                    aws-sdk-core (~> 3)\n";
        assert_eq!(ruby(gems), [("aws-sdk-ruby", "3.50.0".to_owned())]);
        let composer =
            r#"{"packages": [{"name": "a"}, {"name": "aws/aws-sdk-php", "version": "3.1"}]}"#;
        assert_eq!(php(composer), [("aws-sdk-php", "3.1".to_owned())]);
    }

    #[test]
    fn an_installed_package_is_called_after_its_version() {
        assert_eq!(
            distribution("boto3-1.9.0.dist-info"),
            Some(("boto3", "1.9.0"))
        );
        assert_eq!(
            distribution("azure_identity-1.12.0.dist-info"),
            Some(("azure-identity", "1.12.0"))
        );
        assert_eq!(
            distribution("awscli-1.16.0-py3.8.egg-info"),
            Some(("aws-cli", "1.16.0"))
        );
        for other in [
            "boto3",
            "boto3-stubs-1.0.dist-info",
            "requests-2.0.dist-info",
        ] {
            assert_eq!(distribution(other), None, "{other}");
        }
    }
}
