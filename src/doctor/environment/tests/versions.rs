//! Versions against the least ones.

use super::*;

fn with(mut surroundings: Surroundings, name: &str, version: &str, place: &str) -> Surroundings {
    surroundings.versions.push(Version {
        product: find_product(name, version).unwrap(),
        text: version.to_owned(),
        place: place.to_owned(),
    });
    surroundings
}

const OLD: &str = "environment-version-old";
const DOUBTFUL: &str = "environment-version-doubtful";

#[test]
fn a_version_is_old_doubtful_or_good() {
    let rows = [
        ("boto3", "1.9.219", OLD),
        ("boto3", "1.9.220", ""),
        ("boto3", "1.10.0", ""),
        ("botocore", "1.12.199", OLD),
        ("botocore", "1.34.0", ""),
        ("aws-cli", "1.16.231", OLD),
        ("aws-cli", "1.16.232", ""),
        ("aws-cli", "2.0.0", ""),
        ("aws-sdk-go", "v1.23.12", OLD),
        ("aws-sdk-go", "v1.44.0+incompatible", ""),
        ("aws-sdk-java", "1.11.703", OLD),
        ("aws-sdk-java", "2.10.10", OLD),
        ("aws-sdk-java", "2.10.11-SNAPSHOT", ""),
        ("aws-sdk-js", "2.524.0", OLD),
        ("aws-sdk-js", "3.14.0", OLD),
        ("aws-sdk-js", "3.15.0", DOUBTFUL),
        ("aws-sdk-js", "3.26.9", DOUBTFUL),
        ("aws-sdk-js", "3.27.0", ""),
        ("aws-sdk-ruby", "2.11.344", OLD),
        ("aws-sdk-ruby", "2.11.345", DOUBTFUL),
        ("aws-sdk-ruby", "3.58.0", ""),
        ("aws-sdk-cpp", "1.7.173", OLD),
        ("aws-sdk-net", "3.3.659.0", OLD),
        ("aws-sdk-net", "3.3.659.1", ""),
        ("aws-sdk-php", "3.110.6", OLD),
        ("azure-cli", "2.46.9", OLD),
        ("azure-identity", "1.13.0", ""),
        ("@azure/identity", "3.1.4", OLD),
        ("azidentity", "v1.2.2", OLD),
        ("azurerm", "3.6.0", OLD),
        ("azurerm", "3.7.0", ""),
        ("client-go", "v0.15.6", OLD),
        ("kubernetes", "11.0.0", OLD),
        ("@kubernetes/client-node", "0.10.3", ""),
    ];
    for (name, version, expected) in rows {
        let surroundings = machine(&[ROLE, TOKEN, REGION], &[]);
        let report = judge(&with(surroundings, name, version, ""), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{name} {version}");
        assert!(
            report
                .facts
                .contains(&(name_of(name, version), version.to_owned()))
        );
    }
}

fn name_of(name: &str, version: &str) -> String {
    find_product(name, version).unwrap().name.to_owned()
}

#[test]
fn pod_identity_takes_later_versions() {
    let address = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    );
    for (variables, expected) in [
        (vec![address, REGION], OLD),
        (vec![ROLE, TOKEN, REGION], ""),
    ] {
        let report = judge(&with(machine(&variables, &[]), "boto3", "1.34.40", ""), NOW);
        assert_eq!(ids(&report).join(" "), expected);
    }
}

#[test]
fn what_is_installed_matters_for_the_clouds_that_are_set_up() {
    let azure = with(
        machine(&[ROLE, TOKEN, REGION], &[]),
        "azurerm",
        "3.6.0",
        "/srv/code/.terraform.lock.hcl",
    );
    let report = judge(&azure, NOW);
    assert_eq!(ids(&report), [""; 0], "nobody uses it here");
    assert!(report.facts.iter().any(|(name, _)| name == "azurerm"));
}

#[test]
fn a_product_without_a_least_version_is_unknown() {
    for name in ["requests", "", "aws"] {
        assert!(find_product(name, "1.0").is_none(), "{name}");
    }
}
