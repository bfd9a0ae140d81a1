//! The run that all of them are about, and its token.

use std::time::Duration;

use runmint::domain::claims::{Audience, Claims, Stamp};
use runmint::domain::issuer::Issuer;
use runmint::domain::lifetime::{Lifetimes, Limits};
use runmint::domain::name::{Name, ProjectName};
use runmint::domain::phase::Phase;
use runmint::domain::subject::Subject;
use runmint::domain::time::Timestamp;
use runmint::domain::workload::{SentIds, Workload};
use uuid::Uuid;

const ISSUER: &str = "https://ci.example.com";
pub(crate) const AWS: &str = "aws.workload.identity";

/// When its tokens are minted.
pub(crate) const NOW: Timestamp = Timestamp(1_795_290_000);

pub(crate) fn issuer() -> Issuer {
    Issuer::parse(ISSUER).unwrap()
}

pub(crate) fn audience(text: &str) -> Audience {
    Audience::parse("audience", text).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse("name", text).unwrap()
}

pub(crate) fn project() -> ProjectName {
    ProjectName::parse("project", "Default Project").unwrap()
}

/// A plan of a workspace.
pub(crate) fn subject(workspace: &str) -> Subject {
    Subject::Workspace {
        organization: name("acme"),
        project: project(),
        workspace: name(workspace),
        phase: Phase::Plan,
    }
}

pub(crate) fn workload() -> Workload {
    Workload::new(subject("net-1"), SentIds::default(), &[7; 16]).unwrap()
}

/// The payload of its token, made as `Mint` makes it.
pub(crate) fn payload(workload: &Workload, audience: &Audience) -> Vec<u8> {
    let subject = workload.subject.to_string();
    let expires_at = LIFETIMES
        .expiry(&workload.subject, None, Limits::default(), NOW)
        .unwrap();
    let jti = Uuid::new_v4().to_string();
    let stamp = Stamp {
        jti: &jti,
        issuer: ISSUER,
        subject: &subject,
        audience,
        issued_at: NOW,
        expires_at,
        aws_session_tags: false,
    };
    serde_json::to_vec(&Claims::new(workload, stamp)).unwrap()
}

const LIFETIMES: Lifetimes = Lifetimes {
    default: Duration::from_hours(1),
    plan: Duration::from_hours(2),
    apply: Duration::from_hours(24),
    module_test: Duration::from_mins(5),
};
