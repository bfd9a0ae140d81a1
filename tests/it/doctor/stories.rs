//! Five troubles that people have had, from the fault to all clear: the log is pasted, the check that it
//! names is run, its advice is followed, and the check is run again.

use std::os::unix::fs::PermissionsExt;

use runmint::domain::time::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{AWS, Database};
use crate::program::{Ran, Server, Setup, claims};
use crate::runner::files::own_gid;

/// Terraform Enterprise, and a pod that uses a role, as `kubectl get pod -o json` prints them.
const ENTERPRISE: &str = include_str!("../../../src/doctor/environment/tests/pods/enterprise.json");
const IRSA: &str = include_str!("../../../src/doctor/environment/tests/pods/irsa.json");
const ACCOUNT: &str = include_str!("../../../src/doctor/environment/tests/pods/account.json");

/// A server, and a folder for what people have at hand.
struct Desk {
    server: Server,
    secret: String,
    folder: TempDir,
    _database: Database,
}

impl Desk {
    async fn new() -> Self {
        let database = Database::durable().await;
        let server = Setup::on(&database).serve().await;
        let secret = server.client("atlantis").await;
        Self {
            server,
            secret,
            folder: tempfile::tempdir().unwrap(),
            _database: database,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A token for AWS of workspace `net-1` in `Default Project`, in a file.
    async fn token(&self, phase: &str) -> String {
        let run = self.server.open(&self.secret, phase).await;
        let answer = self.server.answer(self.server.ask(&run)).await;
        self.write("token.jwt", answer.json["value"].as_str().unwrap())
    }

    async fn doctor(&self, arguments: &[&str]) -> Report {
        let all = [&["doctor"], arguments, &["--format", "json"]].concat();
        Report::of(&self.server.cli(&all).await)
    }
}

/// What the doctor said.
struct Report {
    status: i32,
    value: Value,
}

impl Report {
    fn of(ran: &Ran) -> Self {
        assert!(ran.status <= 1, "{}", ran.stderr);
        let value = serde_json::from_str(&ran.stdout);
        Self {
            status: ran.status,
            value: value.unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr)),
        }
    }

    /// The finding of this id; the answer is no because of it.
    #[track_caller]
    fn names(&self, id: &str) -> &Value {
        assert_eq!(self.status, 1, "{:#}", self.value);
        self.finding(id)
    }

    #[track_caller]
    fn is_clear(&self) {
        assert_eq!(self.status, 0, "{:#}", self.value);
        assert_eq!(self.value["clear"], true, "{:#}", self.value);
    }
}

/// What a finding's advice adds: the lines that begin with `+ `.
fn added(finding: &Value) -> String {
    let fix = finding["fix"].as_str().unwrap();
    let lines = fix.lines().filter_map(|line| line.strip_prefix("+ "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Terraform Enterprise on Kubernetes as another user than root: nothing can read the token's file.
#[tokio::test]
async fn a_service_that_is_not_root_reads_its_token_again() {
    let desk = Desk::new().await;
    let archivist = r#"{"@level":"error","@message":"failed retrieving key from archive store","err":"WebIdentityErr: failed fetching WebIdentity token: \ncaused by: WebIdentityErr: unable to read file at /var/run/secrets/eks.amazonaws.com/serviceaccount/token\ncaused by: open /var/run/secrets/eks.amazonaws.com/serviceaccount/token: permission denied"}"#;
    let report = desk.doctor(&["error", archivist]).await;
    report.names("tfe-archivist-token-file");
    let restore = "WebIdentityErr: failed fetching WebIdentity token: caused by: WebIdentityErr: unable to read file at /var/run/secrets/eks.amazonaws.com/serviceaccount/token caused by: open /var/run/secrets/eks.amazonaws.com/serviceaccount/token: permission denied";
    let report = desk.doctor(&["error", restore]).await;
    let finding = report.names("aws-token-file-permission-denied");
    let advice = finding["fix"].as_str().unwrap();
    assert!(advice.contains("runmint doctor environment"), "{advice}");

    // The same file, and the same user.
    let file = desk.token("plan").await;
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    std::fs::set_permissions(desk.folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
    mode(0o600);
    let jwks = desk.jwks().await;
    let reader = format!("54321:{}", own_gid());
    let look = ["token", &file, "--jwks", &jwks, "--reader", &reader];
    let report = desk.doctor(&look).await;
    report.names("token-file-closed");

    // What fsGroup does: the group may read.
    mode(0o640);
    desk.doctor(&look).await.is_clear();

    // In the pod, services change their user and lose the group; the chart's setting for OpenShift stops that.
    let mut pods: Value = serde_json::from_str(ENTERPRISE).unwrap();
    let look = [
        "environment",
        "--pod",
        &desk.write("pods.json", &pods.to_string()),
    ];
    let report = desk.doctor(&look).await;
    let advice = report.finding("pod-terraform-enterprise")["fix"].to_string();
    assert!(advice.contains("openshift"), "{advice}");
    let container = &mut pods["items"][0]["spec"]["containers"][0];
    container["securityContext"] = json!({"allowPrivilegeEscalation": false});
    desk.write("pods.json", &pods.to_string());
    desk.doctor(&look).await.has_nothing();
}

/// Terraform moves to an agent with another role, and the cluster says `Unauthorized`.
#[tokio::test]
async fn a_cluster_that_knows_only_the_role_that_made_it_gets_to_know_the_agents() {
    let desk = Desk::new().await;
    let log = "Error: Unauthorized\n\n  with kubernetes_namespace.this,\n  on main.tf line 12, in resource \"kubernetes_namespace\" \"this\":\n";
    let report = desk.doctor(&["error", log]).await;
    let finding = &report.value["findings"][0];
    assert!(
        finding["id"].as_str().unwrap().contains("unauthorized"),
        "{finding:#}"
    );

    let token = desk.token("apply").await;
    let aws_auth = |roles: &str| {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "aws-auth", "namespace": "kube-system"},
            "data": {"mapRoles": roles},
        });
        desk.write("aws-auth.json", &map.to_string())
    };
    let nodes = "- rolearn: arn:aws:iam::123456789012:role/nodes\n  username: system:node:{{EC2PrivateDNSName}}\n  groups: [\"system:nodes\"]\n";
    let policy = aws_auth(nodes);
    let agent = "arn:aws:sts::123456789012:assumed-role/agent/terraform-run-abc123";
    let look = [
        "policy",
        "--token",
        &token,
        "--policy",
        &policy,
        "--role-arn",
        agent,
    ];
    let report = desk.doctor(&look).await;
    let finding = report.names("policy-identity");
    let entry = added(finding);
    assert!(
        entry.contains("arn:aws:iam::123456789012:role/agent"),
        "{finding:#}"
    );
    assert!(!entry.contains("system:masters"), "{finding:#}");

    aws_auth(&format!(
        "{nodes}- rolearn: arn:aws:iam::123456789012:role/agent\n  username: agent\n  groups: [\"runmint:net-1\"]\n"
    ));
    desk.doctor(&look).await.is_clear();
}

/// OIDC in place of an IAM user's keys: the role, the first refusal, and the event in CloudTrail.
#[tokio::test]
async fn a_role_is_assumed_by_a_run_and_its_event_leads_back_to_the_token() {
    let desk = Desk::new().await;
    let token = desk.token("plan").await;
    let policy = async |project: &str| {
        let ran = desk
            .server
            .cli(&[
                "trust",
                "aws",
                "--account-id",
                "123456789012",
                "--organization",
                "acme",
                "--project",
                project,
                "--workspace",
                "net-1",
                "--form",
                "json",
            ])
            .await;
        assert_eq!(ran.status, 0, "{ran:?}");
        desk.write("trust-policy.json", &ran.stdout)
    };
    let refused = "An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity";
    let report = desk.doctor(&["error", refused]).await;
    let advice = report.names("aws-not-authorized")["fix"].to_string();
    assert!(advice.contains("doctor policy"), "{advice}");

    // The project was called `Default` by mistake.
    let file = policy("Default").await;
    let look = ["policy", "--token", &token, "--policy", &file];
    let report = desk.doctor(&look).await;
    let finding = report.names("policy-subject");
    assert!(
        added(finding).contains("project:Default Project:"),
        "{finding:#}"
    );
    policy("Default Project").await;
    desk.doctor(&look).await.is_clear();

    // Later, without the token: the audit log tells what its claims were.
    let payload = claims(&std::fs::read_to_string(&token).unwrap());
    let text = |claim: &str| payload[claim].as_str().unwrap();
    let run = text("terraform_run_id");
    let ask = [
        "explain", "--run", run, "--policy", &file, "--format", "json",
    ];
    Report::of(&desk.server.cli(&ask).await).is_clear();
    policy("Default").await;
    Report::of(&desk.server.cli(&ask).await).names("policy-subject");

    // And whose event is that?
    let provider = "arn:aws:iam::123456789012:oidc-provider/ci.example.com";
    let event = |subject: &str| {
        json!({
            "userIdentity": {
                "type": "WebIdentityUser",
                "principalId": format!("{provider}:{AWS}:{subject}"),
                "userName": subject,
                "identityProvider": provider,
            },
            "eventTime": Timestamp(payload["iat"].as_i64().unwrap() + 1).to_string(),
            "eventSource": "sts.amazonaws.com",
            "eventName": "AssumeRoleWithWebIdentity",
            "awsRegion": "ap-southeast-2",
            "requestParameters": {
                "roleArn": "arn:aws:iam::123456789012:role/net",
                "roleSessionName": format!("terraform-{run}"),
            },
            "responseElements": {
                "subjectFromWebIdentityToken": subject, "provider": provider, "audience": AWS,
            },
        })
        .to_string()
    };
    let explain = async |event: &str| {
        let file = desk.write("event.json", event);
        let arguments = ["explain", "--cloudtrail", &file, "--format", "json"];
        Report::of(&desk.server.cli(&arguments).await)
    };
    let report = explain(&event(text("sub"))).await;
    report.is_clear();
    assert!(
        report.value.to_string().contains(text("jti")),
        "{:#}",
        report.value
    );

    // One that this issuer knows nothing of is an alarm.
    let forged = text("sub").replace("net-1", "net-2");
    explain(&event(&forged))
        .await
        .names("explain-unknown-token");
}

/// Every cloud refuses every token at once: the `kid` is of one key, the signature of another.
#[tokio::test]
async fn a_kid_that_leads_to_another_key_is_found_whatever_the_cloud_says() {
    let desk = Desk::new().await;
    for (log, id) in [
        (
            "Error: WebIdentityErr: failed to retrieve credentials caused by: InvalidIdentityToken: Token signature invalid status code: 400, request id: bdc94a4b",
            "aws-signature-invalid",
        ),
        (
            "Error making API request. URL: PUT https://vault.example.com:8200/v1/auth/jwt/tf/login Code: 400. Errors: * error validating token: error verifying token signature: failed to verify id token signature",
            "vault-signature",
        ),
        (
            r#"clientCredentialsToken: received HTTP status 401 with response: {"error":"invalid_client","error_description":"AADSTS7000274: Key 43ef235f was found, but use of the key to verify the signature failed."}"#,
            "azure-7000274",
        ),
        (
            r#"oauth2/google: status code 400: {"error":"invalid_grant","error_description":"Unable to verify the ID Token signature."}"#,
            "gcp-signature",
        ),
    ] {
        let report = desk.doctor(&["error", log]).await;
        report.names(id);
    }

    // A second key is published, and whoever published them has mixed up their names.
    desk.server.cli(&["keys", "rotate"]).await.done();
    let token = desk.token("plan").await;
    let jwks = desk.jwks().await;
    let mut mixed: Value = serde_json::from_str(&std::fs::read_to_string(&jwks).unwrap()).unwrap();
    let keys = mixed["keys"].as_array_mut().unwrap();
    assert_eq!(keys.len(), 2, "{keys:#?}");
    let (first, second) = (keys[0]["kid"].clone(), keys[1]["kid"].clone());
    keys[0]["kid"] = second;
    keys[1]["kid"] = first;
    let mixed = desk.write("mixed.json", &mixed.to_string());
    let report = desk.doctor(&["token", &token, "--jwks", &mixed]).await;
    report.names("token-signature-of-another");

    // As runmint publishes them, it verifies.
    desk.doctor(&["token", &token, "--jwks", &jwks])
        .await
        .is_clear();
}

/// A pod on EKS gets no credentials: the list of things to look at, one after the other.
#[tokio::test]
async fn a_pod_that_gets_no_credentials_is_mended_step_by_step() {
    let desk = Desk::new().await;
    let issuer = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E";
    let log = format!(
        "WebIdentityErr: failed to retrieve credentials\\ncaused by: InvalidIdentityToken: No OpenIDConnect provider found in your account for https://{issuer}\\n\\tstatus code: 400"
    );
    desk.doctor(&["error", &log])
        .await
        .names("aws-no-oidc-provider");

    // Made before its service account had a role.
    let account = desk.write("account.json", ACCOUNT);
    let mut young: Value = serde_json::from_str(IRSA).unwrap();
    let old = without_role(young.clone());
    let pod = desk.write("pod.json", &old.to_string());
    let look = ["environment", "--pod", &pod, "--service-account", &account];
    let advice = desk.doctor(&look).await.names("pod-older-than-annotation")["fix"].to_string();
    assert!(advice.contains("rollout restart"), "{advice}");
    young["metadata"]["creationTimestamp"] = json!("2026-11-24T12:00:00Z");
    desk.write("pod.json", &young.to_string());
    desk.doctor(&look).await.is_clear();

    // The role's trust policy and the provider, in the cluster's own terms.
    let token = desk.write(
        "claims.json",
        &json!({
            "iss": format!("https://{issuer}"), "aud": ["sts.amazonaws.com"],
            "sub": "system:serviceaccount:default:irsa",
        })
        .to_string(),
    );
    let role = |namespace: &str| {
        let subject = format!("system:serviceaccount:{namespace}:irsa");
        desk.write("role.json", &json!({"Role": {"RoleName": "EKS-IRSA", "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {
                    format!("{issuer}:sub"): subject, format!("{issuer}:aud"): "sts.amazonaws.com"}},
            }],
        }}}).to_string())
    };
    let provider = |audience: &str| {
        desk.write(
            "provider.json",
            &json!({
                "Url": issuer, "ClientIDList": [audience],
                "ThumbprintList": ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
            })
            .to_string(),
        )
    };
    let (role_file, provider_file) = (role("kube-system"), provider("sts.amazon.com"));
    let look = [
        "policy",
        "--token",
        &token,
        "--policy",
        &role_file,
        "--policy",
        &provider_file,
    ];
    let report = desk.doctor(&look).await;
    report.names("policy-audience");
    provider("sts.amazonaws.com");
    let report = desk.doctor(&look).await;
    assert!(added(report.names("policy-subject")).contains("system:serviceaccount:default:irsa"));
    role("default");
    desk.doctor(&look).await.is_clear();

    // The SDK.
    let look = |version| ["environment", "--pod", &pod, "--version-of", version];
    desk.doctor(&look("boto3=1.9.0"))
        .await
        .names("environment-version-old");
    desk.doctor(&look("boto3=1.34.41")).await.is_clear();
}

/// The pod as it was before the webhook knew its service account.
fn without_role(mut pod: Value) -> Value {
    for container in pod["spec"]["containers"].as_array_mut().unwrap() {
        container["env"] = json!([]);
    }
    pod
}

impl Desk {
    /// The published key set, in a file.
    async fn jwks(&self) -> String {
        let answer = self
            .server
            .answer(self.server.get("/.well-known/jwks"))
            .await;
        self.write("jwks.json", &answer.text)
    }
}

impl Report {
    #[track_caller]
    fn has_nothing(&self) {
        assert_eq!(self.value["findings"], json!([]), "{:#}", self.value);
    }

    /// The finding of this id, however bad it is.
    #[track_caller]
    fn finding(&self, id: &str) -> &Value {
        let findings = self.value["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["id"] == id);
        found.unwrap_or_else(|| panic!("no {id} in {:#}", self.value))
    }
}
