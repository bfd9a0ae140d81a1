//! `runmint doctor environment`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{AWS, Database, OpenRun};
use crate::program::{Ran, Server, Setup};

const ROLE: &str = "arn:aws:iam::111122223333:role/ci";
const IRSA: &str = include_str!("../../../src/doctor/environment/tests/pods/irsa.json");
const ACCOUNT: &str = include_str!("../../../src/doctor/environment/tests/pods/account.json");
const ENTERPRISE: &str = include_str!("../../../src/doctor/environment/tests/pods/enterprise.json");

/// A runner's machine: a folder, and variables that name files in it.
struct Machine {
    folder: TempDir,
    setup: Setup,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::bare().with_variable("HOME", &folder.path().display().to_string());
        Self { folder, setup }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.setup = self.setup.with_variable(name, value);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.text(name)
    }

    /// With the variables for AWS, the token's file in the folder.
    fn with_aws(self) -> Self {
        let file = self.text("token");
        self.with("AWS_ROLE_ARN", ROLE)
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
            .with("AWS_REGION", "eu-west-1")
    }

    async fn doctor(&self, arguments: &[&str]) -> Ran {
        let code = self.text("");
        let all = [&["doctor", "environment", "--code", &code], arguments].concat();
        self.setup.run(&all).await
    }
}

/// The ids of the findings, one after the other; the exit status says whether one is an error.
#[track_caller]
fn found(ran: &Ran) -> String {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {ran:?}"));
    let clear = report["clear"].as_bool().unwrap();
    assert_eq!(ran.status, i32::from(!clear), "{ran:?}");
    let findings = report["findings"].as_array().unwrap();
    let ids: Vec<_> = findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    ids.join(" ")
}

/// A server with a run that may have tokens for AWS.
async fn server() -> (Database, Server, OpenRun) {
    let database = Database::durable().await;
    let server = Setup::on(&database).at_its_issuer_url().serve().await;
    let secret = server.client("atlantis").await;
    let run = server.open(&secret, "plan").await;
    (database, server, run)
}

#[tokio::test]
async fn a_missing_token_is_found_and_all_is_clear_once_it_is_written() {
    let (_database, server, run) = server().await;
    let machine = Machine::new().with_aws();
    let ran = machine.doctor(&["--format", "json"]).await;
    assert_eq!(found(&ran), "environment-token-absent");

    let machine = machine
        .with(
            "RUNMINT_REQUEST_URL",
            &format!("{}{}", server.public, run.url),
        )
        .with("RUNMINT_REQUEST_TOKEN", &run.token);
    let file = machine.text("token");
    let arguments = ["token", "--audience", AWS, "--output", &file];
    machine.setup.run(&arguments).await.done();
    let ran = machine.doctor(&["--format", "json"]).await;
    assert_eq!(found(&ran), "");

    let token = fs::read_to_string(&file).unwrap();
    machine.write("token", &format!("{token}\n"));
    let ran = machine.doctor(&["--format", "json"]).await;
    assert_eq!(found(&ran), "environment-token-newline");
    machine.write("token", "");
    let ran = machine.doctor(&["--format", "json"]).await;
    assert_eq!(found(&ran), "environment-token-empty");
}

#[tokio::test]
async fn inside_of_exec_everything_is_there() {
    let (_database, server, run) = server().await;
    let machine = Machine::new()
        .with(
            "RUNMINT_REQUEST_URL",
            &format!("{}{}", server.public, run.url),
        )
        .with("RUNMINT_REQUEST_TOKEN", &run.token)
        .with("TFC_AWS_PROVIDER_AUTH", "true")
        .with("TFC_AWS_RUN_ROLE_ARN", ROLE)
        .with("AWS_REGION", "eu-west-1");
    let program = env!("CARGO_BIN_EXE_runmint");
    let inner = [program, "doctor", "environment", "--format", "json"];
    let ran = machine
        .setup
        .run(&[&["exec", "--"][..], &inner].concat())
        .await;
    assert_eq!(found(&ran), "", "{ran:?}");
    let report = ran.json();
    assert_eq!(report["facts"]["set up for"], "AWS");
    assert_eq!(report["facts"]["AWS_ROLE_ARN"], ROLE);
}

#[tokio::test]
async fn whoever_cannot_read_a_token_is_told_what_lets_them_in() {
    let machine = Machine::new().with_aws();
    let file = machine.write("token", "x");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let reader = ["--reader", "54321:54321", "--format", "json"];
    let ran = machine.doctor(&reader).await;
    assert_eq!(found(&ran), "environment-token-unreadable");
    let finding = &serde_json::from_str::<Value>(&ran.stdout).unwrap()["findings"][0];
    assert!(
        finding["what"]
            .as_str()
            .unwrap()
            .contains("uid 54321 (group 54321) cannot read"),
        "{finding}"
    );
    assert!(
        finding["fix"].as_str().unwrap().contains("54321"),
        "{finding}"
    );
    let nobody = machine.doctor(&["--reader", "no-such-user"]).await;
    nobody.refused(2, &["`no-such-user`"]);
}

#[tokio::test]
async fn a_person_reads_what_why_and_what_to_do_and_no_secret() {
    let machine = Machine::new()
        .with_aws()
        .with("AWS_ACCESS_KEY_ID", "AKIAHUNTER2")
        .with("AWS_SECRET_ACCESS_KEY", "hunter2")
        .with("ARM_CLIENT_SECRET", "hunter2");
    machine.write("token", "hunter2");
    let ran = machine.doctor(&[]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    for words in [
        "error[environment-aws-static-keys]: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` are set",
        "warning[environment-static]: `ARM_CLIENT_SECRET` is set for Azure",
        "error[environment-token-form]: ",
        "  why:    ",
        "  fix:    Unset `AWS_ACCESS_KEY_ID`",
        "  source: ",
    ] {
        assert!(ran.stdout.contains(words), "no {words:?}: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("2 errors: see above"), "{ran:?}");
    let both = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
    assert!(!both.contains("hunter2"), "{both}");

    let bare = Machine::new().doctor(&[]).await;
    assert!(
        bare.done().contains("info[environment-nothing]"),
        "{bare:?}"
    );
}

#[tokio::test]
async fn versions_are_found_beside_the_code_and_where_packages_are_installed() {
    let machine = Machine::new()
        .with("ARM_USE_OIDC", "true")
        .with("ARM_CLIENT_ID", "c")
        .with("ARM_TENANT_ID", "t")
        .with("ARM_SUBSCRIPTION_ID", "s")
        .with("ARM_OIDC_REQUEST_URL", "https://ci.example.com/v1/token")
        .with("ARM_OIDC_REQUEST_TOKEN", "rmr_1");
    let provider = |version: &str| {
        format!(
            "provider \"registry.terraform.io/hashicorp/azurerm\" {{\n  version = \"{version}\"\n}}\n"
        )
    };
    machine.write(".terraform.lock.hcl", &provider("3.6.0"));
    let package = "node_modules/@azure/identity/package.json";
    machine.write(package, r#"{"version": "3.1.0"}"#);
    let site = ".venv/lib/python3.12/site-packages/azure_identity-1.12.0.dist-info/METADATA";
    machine.write(site, "");
    let ran = machine.doctor(&["--format", "json"]).await;
    let three = ["environment-version-old"; 3].join(" ");
    assert_eq!(found(&ran), three, "{ran:?}");

    machine.write(".terraform.lock.hcl", &provider("4.1.0"));
    machine.write(package, r#"{"version": "4.0.0"}"#);
    fs::remove_dir_all(machine.path(".venv")).unwrap();
    let given = ["--version-of", "boto3=1.9.0", "--format", "json"];
    assert_eq!(
        found(&machine.doctor(&given).await),
        "environment-version-old"
    );
    let given = ["--version-of", "boto3=1.34.0", "--format", "json"];
    assert_eq!(found(&machine.doctor(&given).await), "");
    for (version, words) in [
        ("requests=1.0", "there are aws-cli, aws-cli-v2, boto3"),
        ("boto3", "write it as `NAME=VERSION`"),
        ("boto3=latest", "a version begins with a number"),
    ] {
        let ran = machine.doctor(&["--version-of", version]).await;
        ran.refused(2, &[words]);
    }
}

/// As a person has it in a file, with these changes.
fn changed(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::from_str(text).unwrap();
    change(&mut value);
    value.to_string()
}

async fn pod(machine: &Machine, arguments: &[&str]) -> Ran {
    let all = [&["doctor", "environment", "--format", "json"], arguments].concat();
    machine.setup.run(&all).await
}

#[tokio::test]
async fn a_pod_that_is_older_than_the_annotation_is_found_and_clear_when_it_was_recreated() {
    let machine = Machine::new();
    let old = machine.write(
        "old.json",
        &changed(IRSA, |pod| {
            pod["spec"]["containers"][0]["env"] = json!([]);
            pod["spec"]["containers"][0]["volumeMounts"] = json!([]);
            pod["spec"]["volumes"] = json!([]);
        }),
    );
    let account = machine.write("sa.json", ACCOUNT);
    let ran = pod(&machine, &["--pod", &old, "--service-account", &account]).await;
    assert_eq!(found(&ran), "pod-older-than-annotation");
    assert!(
        ran.stdout
            .contains("kubectl rollout restart deployment/api -n shop"),
        "{ran:?}"
    );

    let new = machine.write(
        "new.json",
        &changed(IRSA, |pod| {
            pod["metadata"]["creationTimestamp"] = json!("2026-11-24T10:00:00Z");
        }),
    );
    let ran = pod(&machine, &["--pod", &new, "--service-account", &account]).await;
    assert_eq!(found(&ran), "");
    // Variables of this machine are not the pod's.
    let machine = machine.with("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
    let ran = pod(&machine, &["--pod", &new]).await;
    assert_eq!(found(&ran), "");
}

#[tokio::test]
async fn terraform_enterprise_that_cannot_read_its_token_is_told_of_its_setting() {
    let machine = Machine::new();
    let file = machine.write("pod.json", ENTERPRISE);
    let ran = pod(&machine, &["--pod", &file]).await;
    assert_eq!(found(&ran), "pod-terraform-enterprise");
    assert!(ran.stdout.contains("openshift.enabled: true"), "{ran:?}");
    machine.write(
        "pod.json",
        &changed(ENTERPRISE, |list| {
            list["items"][0]["spec"]["containers"][0]["securityContext"] = json!({
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": true,
            });
        }),
    );
    assert_eq!(found(&pod(&machine, &["--pod", &file]).await), "");
}

#[tokio::test]
async fn a_pod_comes_as_yaml_too_and_what_is_none_is_refused() {
    let machine = Machine::new();
    let yaml = machine.write(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: api\n  namespace: shop\nspec:\n  serviceAccountName: api\n  \
         containers:\n  - name: app\n    image: x\n    env:\n    - name: AWS_ROLE_ARN\n      value: \
         arn:aws:iam::111122223333:role/api\n    - name: AWS_REGION\n      value: eu-west-1\n",
    );
    assert_eq!(
        found(&pod(&machine, &["--pod", &yaml]).await),
        "environment-aws-half"
    );

    let deployment = machine.write("d.json", r#"{"kind": "Deployment"}"#);
    let ran = pod(&machine, &["--pod", &deployment]).await;
    ran.refused(2, &["`--pod`: ", "describes a Deployment, and not a Pod"]);
    let broken = machine.write("b.json", "{");
    let ran = pod(&machine, &["--pod", &broken]).await;
    ran.refused(2, &["`--pod`: ", "neither JSON nor YAML"]);
    let missing = Path::new("/no/such/pod.json");
    let ran = pod(&machine, &["--pod", missing.to_str().unwrap()]).await;
    ran.refused(3, &["`--pod`: /no/such/pod.json: No such file"]);
}
