//! Every variable of HCP Terraform's table, in each of its spellings.

use super::super::Tag;
use super::*;

/// A variable of a provider: what else the provider needs, the variable, and two values of it, each
/// with what is seen of it when it is read. The first is not the default.
type Row = (
    &'static str,
    &'static str,
    [(&'static str, &'static str); 2],
);

const PEM_A: &str =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
const PEM_B: &str =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkJCQkIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";

const ASSUMED_ROLE: &str = "TFC_VAULT_BACKED_AWS_AUTH=true \
    TFC_VAULT_BACKED_AWS_AUTH_TYPE=assumed_role TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE=run";
const STATIC_ACCOUNT: &str = "TFC_VAULT_BACKED_GCP_AUTH=true \
    TFC_VAULT_BACKED_GCP_AUTH_TYPE=static_account/access_token \
    TFC_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT=run";
const ANY_PRINCIPAL: &str = "TFC_GCP_PROVIDER_AUTH=true \
    TFC_GCP_WORKLOAD_PROVIDER_NAME=projects/1/locations/global/workloadIdentityPools/pool/providers/prov \
    TFC_DEFAULT_GCP_RUN_SERVICE_ACCOUNT_EMAIL=run@acme.iam.gserviceaccount.com";

/// What Vault-backed configurations log in by.
const LOGINS: &str = "TFC_VAULT_PROVIDER_AUTH=true TFC_VAULT_PROVIDER_AUTH_A=true \
    TFC_VAULT_PROVIDER_AUTH_B=true TFC_DEFAULT_VAULT_ADDR=https://login.example.com \
    TFC_DEFAULT_VAULT_RUN_ROLE=login";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (AWS, "TFC_AWS_RUN_ROLE_ARN", [
        ("arn:aws:iam::123456789012:role/a", "role_arn: \"arn:aws:iam::123456789012:role/a\""),
        ("arn:aws-cn:iam::123456789012:role/p/b", "role_arn: \"arn:aws-cn:iam::123456789012:role/p/b\""),
    ]),
    (AWS, "TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE", [
        ("a.example.com", "audience: \"a.example.com\""),
        ("b.example.com", "audience: \"b.example.com\""),
    ]),
    (ANY_PRINCIPAL, "TFC_GCP_PRINCIPAL_TYPE", [
        ("workload_pool", "service_account: None"),
        ("service_account", "service_account: Some(\"run@acme.iam.gserviceaccount.com\")"),
    ]),
    (GCP, "TFC_GCP_WORKLOAD_PROVIDER_NAME", [
        ("projects/2/locations/global/workloadIdentityPools/pool/providers/prov", "provider_name: \"projects/2/"),
        ("projects/3/locations/global/workloadIdentityPools/pool/providers/prov", "provider_name: \"projects/3/"),
    ]),
    (GCP_BY_PARTS, "TFC_GCP_PROJECT_NUMBER", [
        ("2", "provider_name: \"projects/2/"),
        ("3", "provider_name: \"projects/3/"),
    ]),
    (GCP_BY_PARTS, "TFC_GCP_WORKLOAD_POOL_ID", [
        ("pool-a", "/workloadIdentityPools/pool-a/"),
        ("pool-b", "/workloadIdentityPools/pool-b/"),
    ]),
    (GCP_BY_PARTS, "TFC_GCP_WORKLOAD_PROVIDER_ID", [
        ("prov-a", "/providers/prov-a\""),
        ("prov-b", "/providers/prov-b\""),
    ]),
    (GCP, "TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL", [
        ("a@acme.iam.gserviceaccount.com", "service_account: Some(\"a@"),
        ("b@acme.iam.gserviceaccount.com", "service_account: Some(\"b@"),
    ]),
    (GCP, "TFC_GCP_WORKLOAD_IDENTITY_AUDIENCE", [
        ("a.example.com", "audience: \"a.example.com\""),
        ("b.example.com", "audience: \"b.example.com\""),
    ]),
    (AZURE, "TFC_AZURE_RUN_CLIENT_ID", [
        ("aaaaaaaa-1111-1111-1111-111111111111", "client_id: \"aaaaaaaa-"),
        ("bbbbbbbb-1111-1111-1111-111111111111", "client_id: \"bbbbbbbb-"),
    ]),
    (AZURE, "TFC_AZURE_WORKLOAD_IDENTITY_AUDIENCE", [
        ("api://AzureADTokenExchangeUSGov", "audience: \"api://AzureADTokenExchangeUSGov\""),
        ("api://AzureADTokenExchangeChina", "audience: \"api://AzureADTokenExchangeChina\""),
    ]),
    (VAULT, "TFC_VAULT_ADDR", [
        ("https://a.example.com", "address: \"https://a.example.com\""),
        ("http://127.0.0.1:8200/", "address: \"http://127.0.0.1:8200\""),
    ]),
    (VAULT, "TFC_VAULT_RUN_ROLE", [("a", "role: \"a\""), ("b", "role: \"b\"")]),
    (VAULT, "TFC_VAULT_NAMESPACE", [
        ("admin/a", "namespace: Some(\"admin/a\")"),
        ("admin/b", "namespace: Some(\"admin/b\")"),
    ]),
    (VAULT, "TFC_VAULT_AUTH_PATH", [
        ("teams/a", "auth_path: \"teams/a\""),
        ("/b/", "auth_path: \"b\""),
    ]),
    (VAULT, "TFC_VAULT_WORKLOAD_IDENTITY_AUDIENCE", [
        ("a.example.com", "audience: \"a.example.com\""),
        ("b.example.com", "audience: \"b.example.com\""),
    ]),
    (VAULT, "TFC_VAULT_ENCODED_CACERT", [(PEM_A, "\\nAAAA\\n"), (PEM_B, "\\nBBBB\\n")]),
    (VAULT, "TFC_VAULT_CLIENT_TIMEOUT", [("7", "client_timeout: 7s"), ("8", "client_timeout: 8s")]),
    (KUBERNETES, "TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE", [
        ("a.example.com", "audience: \"a.example.com\""),
        ("b.example.com", "audience: \"b.example.com\""),
    ]),
    (HCP, "TFC_HCP_RUN_PROVIDER_RESOURCE_NAME", [
        ("iam/a", "audience: \"iam/a\", provider_resource_name: \"iam/a\""),
        ("iam/b", "audience: \"iam/b\", provider_resource_name: \"iam/b\""),
    ]),
    (HCP, "TFC_HCP_WORKLOAD_IDENTITY_AUDIENCE", [
        ("hcp.workload.identity", "audience: \"hcp.workload.identity\""),
        ("b.example.com", "audience: \"b.example.com\""),
    ]),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_AUTH_TYPE", [
        ("federation_token", "kind: FederationToken"),
        ("assumed_role", "kind: AssumedRole { role_arn: None }"),
    ]),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE", [("a", "role: \"a\""), ("b", "role: \"b\"")]),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_MOUNT_PATH", [
        ("mnt/a", "mount_path: \"mnt/a\""),
        ("b", "mount_path: \"b\""),
    ]),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_SLEEP_SECONDS", [("7", "sleep: 7s"), ("1500", "sleep: 1500s")]),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_VAULT_CONFIG", [
        ("A", "vault: Some(Tag(\"A\"))"),
        ("B", "vault: Some(Tag(\"B\"))"),
    ]),
    (ASSUMED_ROLE, "TFC_VAULT_BACKED_AWS_RUN_ROLE_ARN", [
        ("arn:aws:iam::123456789012:role/a", "role_arn: Some(\"arn:aws:iam::123456789012:role/a\")"),
        ("arn:aws:iam::123456789012:role/b", "role_arn: Some(\"arn:aws:iam::123456789012:role/b\")"),
    ]),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_AUTH_TYPE", [
        ("roleset/service_account_key", "account: Roleset(\"run\"), kind: ServiceAccountKey"),
        ("roleset/access_token", "account: Roleset(\"run\"), kind: AccessToken"),
    ]),
    (STATIC_ACCOUNT, "TFC_VAULT_BACKED_GCP_AUTH_TYPE", [
        ("static_account/service_account_key", "account: StaticAccount(\"run\"), kind: ServiceAccountKey"),
        ("static_account/access_token", "account: StaticAccount(\"run\"), kind: AccessToken"),
    ]),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET", [
        ("a", "account: Roleset(\"a\")"),
        ("b", "account: Roleset(\"b\")"),
    ]),
    (STATIC_ACCOUNT, "TFC_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT", [
        ("a", "account: StaticAccount(\"a\")"),
        ("b", "account: StaticAccount(\"b\")"),
    ]),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_MOUNT_PATH", [
        ("mnt/a", "mount_path: \"mnt/a\""),
        ("b", "mount_path: \"b\""),
    ]),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_VAULT_CONFIG", [
        ("A", "vault: Some(Tag(\"A\"))"),
        ("B", "vault: Some(Tag(\"B\"))"),
    ]),
    (VAULT_BACKED_AZURE, "TFC_VAULT_BACKED_AZURE_RUN_VAULT_ROLE", [("a", "role: \"a\""), ("b", "role: \"b\"")]),
    (VAULT_BACKED_AZURE, "TFC_VAULT_BACKED_AZURE_MOUNT_PATH", [
        ("mnt/a", "mount_path: \"mnt/a\""),
        ("b", "mount_path: \"b\""),
    ]),
    (VAULT_BACKED_AZURE, "TFC_VAULT_BACKED_AZURE_SLEEP_SECONDS", [("7", "sleep: 7s"), ("8", "sleep: 8s")]),
    (VAULT_BACKED_AZURE, "TFC_VAULT_BACKED_AZURE_VAULT_CONFIG", [
        ("A", "vault: Some(Tag(\"A\"))"),
        ("B", "vault: Some(Tag(\"B\"))"),
    ]),
];

/// A variable beside what its provider needs, for the configuration with or without a tag.
#[derive(Clone, Copy)]
struct Case {
    needs: &'static str,
    variable: &'static str,
    tag: Option<&'static str>,
}

impl Case {
    /// What is read in `phase` when `given` is said of the variable.
    fn read(self, phase: Option<Phase>, given: &str) -> Result<String, Vec<InvalidVariable>> {
        let needs = pairs(self.needs).filter(|(name, _)| *name != self.variable);
        let needs = needs.map(|(name, value)| {
            if name.starts_with("TFC_DEFAULT_") {
                format!("{name}={value}")
            } else {
                format!("{}={value}", self.tagged(name))
            }
        });
        let needs: Vec<_> = needs.collect();
        let logins = if self.needs.contains("VAULT_BACKED") {
            LOGINS
        } else {
            ""
        };
        let text = format!("{} {given} {logins}", needs.join(" "));
        let configurations = read_in(phase, &text)?;
        let is_ours = |configuration: &&Configuration| {
            let login = logins.is_empty() || !line(configuration).starts_with("Vault:");
            login && configuration.tag.as_ref().map(Tag::as_str) == self.tag
        };
        Ok(line(configurations.iter().find(is_ours).unwrap()))
    }

    fn tagged(self, name: &str) -> String {
        self.tag
            .map_or(name.to_owned(), |tag| format!("{name}_{tag}"))
    }

    /// The variable's name for this configuration.
    fn explicit(self) -> String {
        self.tagged(self.variable)
    }

    /// The variable's name for all of them.
    fn default(self) -> String {
        self.variable.replacen("TFC_", "TFC_DEFAULT_", 1)
    }

    fn is_of_phase(self) -> bool {
        self.variable.contains("_RUN_")
    }

    #[track_caller]
    fn sees(self, phase: Option<Phase>, given: &str, seen: &str) {
        let read = self.read(phase, given);
        let read = read.unwrap_or_else(|problems| panic!("{given}: {problems:#?}"));
        assert!(read.contains(seen), "{given}: {read} without {seen}");
    }

    /// Either the setting is needed and its lack is told, or its default holds.
    #[track_caller]
    fn does_not_see(self, given: &str, seen: &str) {
        match self.read(PLAN, given) {
            Ok(read) => assert!(!read.contains(seen), "{given}: {read} with {seen}"),
            Err(problems) => {
                let [InvalidVariable { variable, rule }] = &problems[..] else {
                    panic!("{given}: {problems:#?}");
                };
                assert_eq!(*variable, self.explicit());
                assert!(rule.starts_with("must be set"), "{rule}");
            }
        }
    }
}

const PLAN: Option<Phase> = Some(Phase::Plan);
const APPLY: Option<Phase> = Some(Phase::Apply);

fn each(test: impl Fn(Case, [(&str, &str); 2])) {
    for &(needs, variable, values) in TABLE {
        for tag in [None, Some("X"), Some("two_words"), Some("9")] {
            test(
                Case {
                    needs,
                    variable,
                    tag,
                },
                values,
            );
        }
    }
}

#[test]
fn each_variable_is_read_plain_and_tagged() {
    each(|case, [(a, seen_a), (b, seen_b)]| {
        let name = case.explicit();
        for phase in [PLAN, APPLY, None] {
            case.sees(phase, &format!("{name}={a}"), seen_a);
            case.sees(phase, &format!("{name}={b}"), seen_b);
        }
        case.does_not_see("", seen_a);
    });
}

#[test]
fn each_variable_has_a_default_that_an_explicit_one_beats() {
    each(|case, [(a, seen_a), (b, seen_b)]| {
        let (name, default) = (case.explicit(), case.default());
        case.sees(PLAN, &format!("{default}={a}"), seen_a);
        case.sees(PLAN, &format!("{name}={a} {default}={b}"), seen_a);
        case.sees(PLAN, &format!("{name}={b} {default}={a}"), seen_b);
    });
}

#[test]
fn a_tagged_configuration_does_not_fall_back_to_the_untagged_one() {
    each(|case, [(a, seen_a), _]| {
        if case.tag.is_some() {
            let (switch, _) = pairs(case.needs).next().unwrap();
            // The untagged one is off, so that its settings are left over.
            case.does_not_see(&format!("{}={a} {switch}=false", case.variable), seen_a);
        }
    });
}

#[test]
fn plan_and_apply_beat_run() {
    each(|case, [(a, seen_a), (b, seen_b)]| {
        if !case.is_of_phase() {
            return;
        }
        let run = case.explicit();
        let plan = run.replace("_RUN_", "_PLAN_");
        let apply = run.replace("_RUN_", "_APPLY_");
        for (phase, own, other) in [(PLAN, &plan, &apply), (APPLY, &apply, &plan)] {
            case.sees(phase, &format!("{own}={a} {other}={b}"), seen_a);
            case.sees(phase, &format!("{own}={a} {run}={b}"), seen_a);
            case.sees(phase, &format!("{other}={a} {run}={b}"), seen_b);
            case.sees(phase, &format!("{own}={a}"), seen_a);
        }
        // Of the default as well.
        let default_run = case.default();
        let default_plan = default_run.replace("_RUN_", "_PLAN_");
        case.sees(
            PLAN,
            &format!("{default_plan}={a} {default_run}={b}"),
            seen_a,
        );
        case.sees(
            APPLY,
            &format!("{default_plan}={a} {default_run}={b}"),
            seen_b,
        );
        // But what is explicit beats a default, whatever its phase.
        case.sees(PLAN, &format!("{run}={a} {default_plan}={b}"), seen_a);
        case.sees(PLAN, &format!("{plan}={a} {default_plan}={b}"), seen_a);
    });
}

#[test]
fn without_a_phase_only_what_is_the_same_in_both_is_read() {
    each(|case, [(a, seen_a), (b, _)]| {
        if !case.is_of_phase() {
            return;
        }
        let run = case.explicit();
        let plan = run.replace("_RUN_", "_PLAN_");
        let apply = run.replace("_RUN_", "_APPLY_");
        case.sees(None, &format!("{plan}={a} {apply}={a}"), seen_a);
        case.sees(None, &format!("{plan}={a} {apply}={a} {run}={b}"), seen_a);
        case.sees(None, &format!("{plan}={a} {run}={a}"), seen_a);
        for (given, named) in [
            (format!("{plan}={a} {apply}={b}"), &plan),
            (format!("{plan}={a} {run}={b}"), &plan),
            (format!("{apply}={a} {run}={b}"), &apply),
            (format!("{plan}={a}"), &plan),
            (format!("{apply}={a}"), &apply),
        ] {
            let problems = case.read(None, &given).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:#?}");
            assert_eq!(problems[0].variable, *named);
            assert!(
                problems[0].rule.contains("`--run-phase plan`"),
                "{problems:?}"
            );
        }
    });
}

#[test]
fn the_table_holds_every_variable_that_is_known() {
    use super::super::names::Family;

    let families = Family::ALL.into_iter();
    for family in families.filter(|family| family.is_supported()) {
        for part in family.parts().iter().skip(1) {
            let name = family.explicit(part, None);
            let run = name.replace("_PLAN_", "_RUN_").replace("_APPLY_", "_RUN_");
            let is_there = TABLE.iter().any(|(_, variable, _)| *variable == run);
            assert!(is_there, "{name} has no row");
        }
    }
}
