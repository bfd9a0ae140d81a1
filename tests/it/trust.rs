//! Generators against evaluators: what `trust` writes for a run, read by `policy` as the relying party
//! would read it, lets that run's tokens in, and those of no neighbour.

mod aws;
mod azure;
mod documents;
mod eks;
mod gcp;
mod hcp;
mod kubernetes;
mod vault;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use runmint::domain::claims::{Audience, Claims, Stamp};
use runmint::domain::issuer::Issuer;
use runmint::domain::name::{Name, ProjectName};
use runmint::domain::phase::Phase;
use runmint::domain::subject::Subject;
use runmint::domain::time::Timestamp;
use runmint::domain::workload::{SentIds, Workload};
use runmint::policy::Presented;
use runmint::trust::{Order, Part, Phases, Scope};
use serde_json::Value;

/// A run, as its token names it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) issuer: String,
    pub(crate) organization: String,
    pub(crate) project: String,
    pub(crate) workspace: String,
    pub(crate) phase: Phase,
    pub(crate) audience: String,
    /// Whether its token carries AWS session tags.
    pub(crate) tags: bool,
}

/// A run, and an order that is to let it in.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) run: Run,
    pub(crate) order: Order,
}

impl Run {
    /// The claims that runmint would put into its token.
    pub(crate) fn presented(&self) -> Presented {
        let subject = Subject::Workspace {
            organization: name(&self.organization),
            project: project_name(&self.project),
            workspace: name(&self.workspace),
            phase: self.phase,
        };
        let rendered = subject.to_string();
        let workload = Workload::new(subject, SentIds::default(), &[7; 16]).unwrap();
        let audience = Audience::parse("audience", &self.audience).unwrap();
        let claims = Claims::new(
            &workload,
            Stamp {
                jti: "f81d4fae-7dec-41d0-a765-00a0c91e6bf6",
                issuer: &self.issuer,
                subject: &rendered,
                audience: &audience,
                issued_at: Timestamp(1_650_486_122),
                expires_at: Timestamp(1_650_486_422),
                aws_session_tags: self.tags,
            },
        );
        let Value::Object(claims) = serde_json::to_value(claims).unwrap() else {
            panic!("claims are an object");
        };
        Presented {
            claims,
            role_arn: None,
        }
    }
}

/// Runs with few and with many letters, so that names meet and are beginnings of one another, and orders
/// in which each part is exact or any. The audience is the relying party's usual one, or another.
pub(crate) fn cases(audience: &'static str) -> impl Strategy<Value = Case> {
    let run = (
        select(vec![
            "https://ci.example.com",
            "https://ci.example.com/oidc",
            "https://ci.example.com/Team-A/oidc",
            "https://id.example.org",
        ]),
        names(),
        projects(),
        names(),
        select(Phase::ALL.to_vec()),
        select(vec![audience, "other.workload.identity"]),
    );
    let run = run.prop_map(
        |(issuer, organization, project, workspace, phase, audience)| Run {
            issuer: issuer.to_owned(),
            organization,
            project,
            workspace,
            phase,
            audience: audience.to_owned(),
            tags: false,
        },
    );
    let any = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.25),
        vec(names(), 0..3),
        select(vec![Some(Phases::Both), Some(Phases::Apart), None]),
    );
    (run, any).prop_map(
        |(run, (any_organization, any_project, any_workspace, others, phases))| {
            let mut workspaces = vec![if any_workspace {
                Part::Any
            } else {
                Part::Exactly(name(&run.workspace))
            }];
            let others = others.iter().filter(|other| **other != run.workspace);
            workspaces.extend(others.map(|other| Part::Exactly(name(other))));
            let scope = Scope {
                organization: if any_organization {
                    Part::Any
                } else {
                    Part::Exactly(name(&run.organization))
                },
                project: if any_project {
                    Part::Any
                } else {
                    Part::Exactly(project_name(&run.project))
                },
                workspaces,
                phases: phases.unwrap_or(Phases::Only(run.phase)),
            };
            let order = Order {
                issuer: Issuer::parse(&run.issuer).unwrap(),
                scope,
                audience: Audience::parse("audience", &run.audience).unwrap(),
            };
            Case { run, order }
        },
    )
}

impl Case {
    /// Holds a policy, made for these phases (nothing: both), against the run's token and against those
    /// of its neighbours: each with one thing changed. `admits` is what the relying party says.
    pub(crate) fn check(&self, phase: Option<Phase>, admits: impl Fn(&Presented) -> bool) {
        let run = Run {
            phase: phase.unwrap_or(self.run.phase),
            ..self.run.clone()
        };
        let expect = |expected: bool, run: &Run, what: &str| {
            assert_eq!(admits(&run.presented()), expected, "{what}: {run:?}");
        };
        expect(true, &run, "the run itself");

        let scope = &self.order.scope;
        for organization in neighbours(&run.organization) {
            let admitted = scope.organization == Part::Any;
            let run = Run {
                organization,
                ..run.clone()
            };
            expect(admitted, &run, "another organization");
        }
        for project in neighbours(&run.project) {
            let admitted = scope.project == Part::Any;
            let run = Run {
                project,
                ..run.clone()
            };
            expect(admitted, &run, "another project");
        }
        for workspace in neighbours(&run.workspace) {
            let admitted = scope.workspaces.iter().any(|part| match part {
                Part::Any => true,
                Part::Exactly(name) => name.as_str() == workspace,
            });
            let run = Run {
                workspace,
                ..run.clone()
            };
            expect(admitted, &run, "another workspace");
        }
        for other in Phase::ALL.into_iter().filter(|other| *other != run.phase) {
            let run = Run {
                phase: other,
                ..run.clone()
            };
            expect(phase.is_none(), &run, "the other phase");
        }
        for audience in ["x".to_owned() + &run.audience, swapped(&run.audience)]
            .into_iter()
            .chain([run.audience.clone() + "x"])
        {
            let run = Run {
                audience,
                ..run.clone()
            };
            expect(false, &run, "another audience");
        }
        let host = run.issuer.trim_start_matches("https://");
        for issuer in [
            format!("{}/", run.issuer),
            format!("{}/x", run.issuer),
            format!("{}.example.net", run.issuer),
            format!("https://x{host}"),
            format!("https://{}", swapped(host)),
            "https://app.terraform.io".to_owned(),
        ] {
            let run = Run {
                issuer,
                ..run.clone()
            };
            expect(false, &run, "another issuer");
        }
    }
}

/// Names that are nearly this one: longer, shorter, of another case; never itself.
fn neighbours(of: &str) -> Vec<String> {
    let shorter = &of[..of.len() - 1];
    let all = [
        format!("{of}-x"),
        format!("{of}_"),
        format!("x{of}"),
        swapped(of),
        shorter.trim_end().to_owned(),
        "other".to_owned(),
    ];
    all.into_iter()
        .filter(|name| !name.is_empty() && name != of)
        .collect()
}

/// With upper case for lower case, and the other way.
fn swapped(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_uppercase() {
                c.to_ascii_lowercase()
            } else {
                c.to_ascii_uppercase()
            }
        })
        .collect()
}

pub(crate) fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[ab_-]{1,3}", "[A-Za-z0-9_-]{1,20}"]
}

fn projects() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]( ?[ab]){0,2}",
        "[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,18}[A-Za-z0-9_-])?",
    ]
}

fn name(text: &str) -> Name {
    Name::parse("name", text).unwrap()
}

fn project_name(text: &str) -> ProjectName {
    ProjectName::parse("project", text).unwrap()
}
