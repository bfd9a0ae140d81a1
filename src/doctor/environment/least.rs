//! The least versions of SDKs and tools that read a token from a file.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

/// Whose client something is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cloud {
    /// AWS.
    Aws,
    /// Azure.
    Azure,
    /// Google Cloud.
    Google,
    /// Kubernetes.
    Kubernetes,
    /// Vault and OpenBao.
    Vault,
}

impl Cloud {
    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Google => "GCP",
            Self::Kubernetes => "Kubernetes",
            Self::Vault => "Vault",
        }
    }
}

/// An SDK or a tool, and from which version on it does it.
#[derive(Debug)]
pub struct Product {
    /// As `--version-of` takes it: the package's name where it is known by one.
    pub name: &'static str,
    /// Whose client it is.
    pub cloud: Cloud,
    /// The vendor's guide.
    least: &'static str,
    /// Another page of the vendor's, where it says otherwise.
    elsewhere: Option<&'static str>,
    /// For EKS Pod Identity, which came later.
    pod_identity: Option<&'static str>,
}

/// A version that was found, or given.
#[derive(Clone, Debug)]
pub struct Version {
    /// What it is a version of.
    pub product: &'static Product,
    /// As it was found.
    pub text: String,
    /// Where; empty if it was given.
    pub place: String,
}

const fn aws(name: &'static str, least: &'static str, pod_identity: &'static str) -> Product {
    Product {
        name,
        cloud: Cloud::Aws,
        least,
        elsewhere: None,
        pod_identity: Some(pod_identity),
    }
}

const fn other(cloud: Cloud, name: &'static str, least: &'static str) -> Product {
    Product {
        name,
        cloud,
        least,
        elsewhere: None,
        pod_identity: None,
    }
}

/// Amazon EKS user guide, "Use IRSA with the AWS SDK" and "Use pod identity with the AWS SDK" (December
/// 2024); `elsewhere` is AWS Knowledge Center, "Troubleshoot an OIDC provider and IRSA in Amazon EKS"
/// (November 2021), where it differs. Azure AKS, "Use Microsoft Entra Workload ID"; azurerm's changelog.
/// Kubernetes: the clients that read a service account's token again (Amazon EKS user guide).
const PRODUCTS: &[Product] = &[
    aws("aws-cli", "1.16.232", "1.30.0"),
    aws("aws-cli-v2", "2.0.0", "2.15.0"),
    aws("boto3", "1.9.220", "1.34.41"),
    aws("botocore", "1.12.200", "1.34.41"),
    aws("aws-sdk-go", "1.23.13", "1.47.11"),
    aws("aws-sdk-java", "1.11.704", "1.12.746"),
    aws("aws-sdk-java-v2", "2.10.11", "2.21.30"),
    aws("aws-sdk-js", "2.525.0", "2.1550.0"),
    Product {
        elsewhere: Some("3.15.0"),
        ..aws("aws-sdk-js-v3", "3.27.0", "3.458.0")
    },
    Product {
        elsewhere: Some("2.11.345"),
        ..aws("aws-sdk-ruby", "3.58.0", "3.188.0")
    },
    Product {
        pod_identity: None,
        ..aws("aws-sdk-cpp", "1.7.174", "")
    },
    aws("aws-sdk-net", "3.3.659.1", "3.7.734.0"),
    aws("aws-sdk-php", "3.110.7", "3.287.1"),
    other(Cloud::Azure, "azure-cli", "2.47.0"),
    other(Cloud::Azure, "azure-identity", "1.13.0"),
    other(Cloud::Azure, "@azure/identity", "3.2.0"),
    other(Cloud::Azure, "azidentity", "1.3.0"),
    other(Cloud::Azure, "azure-identity-java", "1.9.0"),
    other(Cloud::Azure, "azure-identity-net", "1.9.0"),
    other(Cloud::Azure, "azure-identity-cpp", "1.6.0"),
    other(Cloud::Azure, "azurerm", "3.7.0"),
    other(Cloud::Kubernetes, "client-go", "0.15.7"),
    other(Cloud::Kubernetes, "kubernetes", "12.0.0"),
    other(Cloud::Kubernetes, "@kubernetes/client-node", "0.10.3"),
    other(Cloud::Kubernetes, "kubernetes-client-java", "9.0.0"),
    other(Cloud::Kubernetes, "kubernetes-client-net", "7.0.5"),
    other(Cloud::Kubernetes, "kubernetes-client-haskell", "0.3.0.0"),
    // No client: whether a pod's token can be read depends on it, see `pod`.
    other(Cloud::Kubernetes, CLUSTER, "1.12"),
];

/// The version of the cluster itself.
pub(super) const CLUSTER: &str = "kubernetes-cluster";

/// All that have a least version.
pub fn products() -> impl Iterator<Item = &'static Product> {
    PRODUCTS.iter()
}

/// The one with this name. The second major versions that have a package of another name are told from
/// the first by the version.
pub fn find_product(name: &str, version: &str) -> Option<&'static Product> {
    let is_second = compare(version, "2") != Ordering::Less;
    let name = match name {
        "aws-cli" if is_second => "aws-cli-v2",
        "aws-sdk-java" if is_second => "aws-sdk-java-v2",
        "aws-sdk-js" if compare(version, "3") != Ordering::Less => "aws-sdk-js-v3",
        name => name,
    };
    products().find(|product| product.name == name)
}

/// Versions of clients that are used here, and all that were given.
pub(super) fn judge(versions: &[Version], clouds: &BTreeSet<Cloud>, pod_identity: bool) -> Report {
    let mut report = Report::default();
    for version in versions {
        let Version {
            product,
            text,
            place,
        } = version;
        let shown = if place.is_empty() {
            text.clone()
        } else {
            format!("{text} ({place})")
        };
        report.fact(product.name, shown);
        if place.is_empty() || clouds.contains(&product.cloud) {
            report.findings.extend(of_version(version, pod_identity));
        }
    }
    report
}

fn of_version(version: &Version, pod_identity: bool) -> Option<Finding> {
    let Version { product, text, .. } = version;
    let name = product.name;
    let is_before = |least: &str| compare(text, least) == Ordering::Less;
    if pod_identity && let Some(least) = product.pod_identity.filter(|least| is_before(least)) {
        let what = format!("{name} is {text}; EKS Pod Identity takes {least}");
        return Some(Finding::new(&kinds::VERSION_OLD, what));
    }
    let least = product.least;
    match product.elsewhere {
        // One of the two says that it is enough.
        Some(other) if is_before(least) != is_before(other) => {
            let what = format!(
                "{name} is {text}; the user guide asks for {least}, another page for {other}"
            );
            Some(Finding::new(&kinds::VERSION_DOUBTFUL, what))
        }
        other if is_before(least) => {
            let other =
                other.map_or_else(String::new, |other| format!(" ({other} in another page)"));
            let what = format!("{name} is {text}; a token from a file takes {least}{other}");
            Some(Finding::new(&kinds::VERSION_OLD, what))
        }
        _ => None,
    }
}

/// Numbers with dots between them; what is missing is zero, and what follows the numbers (`-beta`,
/// `+incompatible`) does not count.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (numbers(one), numbers(other));
    let length = one.len().max(other.len());
    one.resize(length, 0);
    other.resize(length, 0);
    one.cmp(&other)
}

fn numbers(version: &str) -> Vec<u64> {
    let version = version.trim().trim_start_matches('v');
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse() else { break };
        numbers.push(number);
        if digits.len() < part.len() {
            break;
        }
    }
    numbers
}
