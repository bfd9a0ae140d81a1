//! What a relying party makes of a run's token: `doctor policy` does it once for the run, and again for
//! each neighbour.

use divan::{Bencher, black_box};
use runmint::policy::{Document, Policy, Presented};
use runmint::trust::{self, Bundle, Form, Order, Part, Phases, Scope, TrustError};
use serde_json::Value;

use crate::run::{AWS, audience, issuer, name, payload, project, workload};

#[derive(Clone, Copy, Debug)]
enum Party {
    Aws,
    Azure,
    Gcp,
    Kubernetes,
    Vault,
}

const PARTIES: [Party; 5] = [
    Party::Aws,
    Party::Azure,
    Party::Gcp,
    Party::Kubernetes,
    Party::Vault,
];

#[divan::bench(args = PARTIES)]
fn read_and_evaluate(bencher: Bencher<'_, '_>, party: Party) {
    let (files, presented) = (party.files(), party.presented());
    assert!(read(&files).evaluate(&presented).admits());
    bencher.bench(|| read(black_box(&files)).evaluate(&presented));
}

#[divan::bench(args = PARTIES)]
fn evaluate(bencher: Bencher<'_, '_>, party: Party) {
    let (policy, presented) = (read(&party.files()), party.presented());
    bencher.bench(|| black_box(&policy).evaluate(black_box(&presented)));
}

fn read(files: &[trust::Document]) -> Policy {
    let documents = files.iter();
    let documents: Vec<Document> = documents
        .flat_map(|file| Document::all(&file.name, &file.text).unwrap())
        .collect();
    Policy::read(&documents).unwrap()
}

impl Party {
    /// What `runmint trust` writes to let the run in, as `doctor policy` reads it.
    fn files(self) -> Vec<trust::Document> {
        let scope = Scope {
            organization: Part::Exactly(name("acme")),
            project: Part::Exactly(project()),
            workspaces: vec![Part::Exactly(name("net-1")), Part::Exactly(name("net-2"))],
            phases: Phases::Both,
        };
        let order = Order {
            issuer: issuer(),
            scope,
            audience: audience(self.audience()),
        };
        let form = match self {
            Self::Kubernetes => Form::Yaml,
            Self::Aws | Self::Azure | Self::Gcp | Self::Vault => Form::Json,
        };
        let documents = self.bundle(&order).unwrap().documents.into_iter();
        // What a run may do once it is let in is another question.
        documents
            .filter(|file| file.form == form && !file.name.starts_with("policy-"))
            .collect()
    }

    fn bundle(self, order: &Order) -> Result<Bundle, TrustError> {
        match self {
            Self::Aws => trust::aws::generate(order, &trust::aws::Options::new("123456789012")),
            Self::Azure => trust::azure::generate(
                order,
                &trust::azure::Options {
                    owner: trust::azure::Owner::NewApplication("ci".to_owned()),
                    cloud: trust::azure::Cloud::Global,
                    prefix: "runmint".to_owned(),
                    role: None,
                    plan_role: None,
                    role_scope: None,
                },
            ),
            Self::Gcp => trust::gcp::generate(
                order,
                &trust::gcp::Options {
                    project_number: "123456789012".to_owned(),
                    project_id: "acme-prod".to_owned(),
                    pool: "runmint".to_owned(),
                    provider: "runmint".to_owned(),
                    service_accounts: vec![
                        "terraform@acme-prod.iam.gserviceaccount.com".to_owned(),
                    ],
                    ..trust::gcp::Options::default()
                },
            ),
            Self::Kubernetes => {
                trust::kubernetes::generate(order, &trust::kubernetes::Options::default())
            }
            Self::Vault => trust::vault::generate(
                order,
                &trust::vault::Options {
                    mount: "jwt".to_owned(),
                    role: "runmint".to_owned(),
                    policies: vec!["net-read".to_owned()],
                    plan_policies: Vec::new(),
                    keys: trust::vault::Keys::Discovery,
                    tool: trust::vault::Tool::Vault,
                },
            ),
        }
    }

    fn audience(self) -> &'static str {
        match self {
            Self::Aws => AWS,
            Self::Azure => "api://AzureADTokenExchange",
            Self::Gcp => {
                "//iam.googleapis.com/projects/123456789012/locations/global/\
                 workloadIdentityPools/runmint/providers/runmint"
            }
            Self::Kubernetes => "kubernetes.workload.identity",
            Self::Vault => "vault.workload.identity",
        }
    }

    /// The run's token for it.
    fn presented(self) -> Presented {
        let payload = payload(&workload(), &audience(self.audience()));
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: None,
        }
    }
}
