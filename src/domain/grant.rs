//! Grants: what a client may ask for. Matching is pure and gives Allow or Deny with its reason.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::claims::Audience;
use super::denial::{Denial, Mismatch};
use super::pattern::Pattern;
use super::phase::Phase;
use super::subject::{Subject, SubjectForm};

/// One permission: every part has to match.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Pattern over the organization; `*` stands for any characters.
    #[schema(value_type = String, min_length = 1, pattern = "^[A-Za-z0-9_*-]+$")]
    pub organization: Pattern,
    /// Pattern over the project. A subject without a project matches only `*`.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, pattern = "^[A-Za-z0-9_* -]+$")]
    pub project: Pattern,
    /// Pattern over the workspace (of a stack run: the stack; of a module test: the module).
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, pattern = "^[A-Za-z0-9_*-]+$")]
    pub workspace: Pattern,
    /// Pattern over the deployment, in the `stack` form.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, pattern = "^[A-Za-z0-9_*-]+$")]
    pub deployment: Pattern,
    /// The phases; both when left out.
    #[serde(default = "both_phases")]
    #[schema(min_items = 1)]
    pub run_phases: Vec<Phase>,
    /// The audiences: exact, or patterns with `*`.
    #[schema(min_items = 1, example = json!(["aws.workload.identity"]))]
    pub audiences: Vec<Pattern>,
    /// The longest life of a token, in seconds; the phase's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_ttl: Option<i64>,
    /// The forms of subject; only `workspace` when left out.
    #[serde(default = "workspace_form")]
    #[schema(min_items = 1)]
    pub subject_forms: Vec<SubjectForm>,
}

fn both_phases() -> Vec<Phase> {
    Phase::ALL.to_vec()
}

fn workspace_form() -> Vec<SubjectForm> {
    vec![SubjectForm::Workspace]
}

impl Grant {
    /// Refuses a grant that cannot match or that says something else than it seems to.
    ///
    /// # Errors
    /// Names the field within `grants[index]`.
    pub fn check(&self, index: usize) -> Result<(), InvalidField> {
        let field = |name: &str| format!("grants[{index}].{name}");
        if self.audiences.is_empty() {
            return Err(InvalidField::new(
                field("audiences"),
                "is empty, so the grant would allow nothing; list the audiences",
            ));
        }
        for (place, Pattern(audience)) in self.audiences.iter().enumerate() {
            if audience.is_empty() || !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(InvalidField::new(
                    field(&format!("audiences[{place}]")),
                    "holds what no audience can hold, so it would never match; \
                     audiences are printable ASCII characters without spaces",
                ));
            }
        }
        if self.run_phases.is_empty() {
            return Err(InvalidField::new(
                field("run_phases"),
                "is empty, so the grant would allow nothing; list `plan`, `apply` or both",
            ));
        }
        if self.subject_forms.is_empty() {
            return Err(InvalidField::new(
                field("subject_forms"),
                "is empty, so the grant would allow nothing; leave it out for `workspace`",
            ));
        }
        if self.max_ttl.is_some_and(|seconds| seconds < 1) {
            return Err(InvalidField::new(
                field("max_ttl"),
                "must be at least one second",
            ));
        }
        if self.deployment.0 != "*" && !self.subject_forms.contains(&SubjectForm::Stack) {
            return Err(InvalidField::new(
                field("deployment"),
                "restricts nothing, since only the `stack` form has deployments; \
                 add `stack` to `subject_forms` or leave it out",
            ));
        }
        let names = [
            ("organization", &self.organization, ""),
            ("project", &self.project, " "),
            ("workspace", &self.workspace, ""),
            ("deployment", &self.deployment, ""),
        ];
        for (name, pattern, also) in names {
            let wrong = pattern.0.chars().find(|c| {
                !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*') || also.contains(*c))
            });
            if pattern.0.is_empty() {
                return Err(InvalidField::new(
                    field(name),
                    "may not be empty; `*` matches all",
                ));
            }
            if let Some(wrong) = wrong {
                return Err(InvalidField::new(
                    field(name),
                    format!("holds {wrong:?}, which no name can hold, so it would never match"),
                ));
            }
        }
        Ok(())
    }

    fn mismatch(&self, subject: &Subject) -> Option<Mismatch> {
        if !self.organization.matches(subject.organization().as_str()) {
            Some(Mismatch::Organization)
        } else if !self.subject_forms.contains(&subject.form()) {
            Some(Mismatch::SubjectForm)
        } else if !match subject.project() {
            Some(project) => self.project.matches(project.as_str()),
            None => self.project.0 == "*",
        } {
            Some(Mismatch::Project)
        } else if !self.workspace.matches(subject.target().as_str()) {
            Some(Mismatch::Workspace)
        } else if subject
            .deployment()
            .is_some_and(|deployment| !self.deployment.matches(deployment.as_str()))
        {
            Some(Mismatch::Deployment)
        } else if !self.run_phases.contains(&subject.phase()) {
            Some(Mismatch::Phase)
        } else {
            None
        }
    }
}

/// An audience that a run or a client may ask for, and how long such a token may live.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AllowedAudience {
    /// The audience.
    pub audience: Audience,
    /// The longest life by the grants, in seconds.
    pub max_ttl: Option<i64>,
}

/// Holds `grants` against a subject and the audiences asked for.
///
/// Each audience needs one grant that covers it together with the subject; if several do, the
/// longest life counts.
///
/// # Errors
/// The reason, from the grant that came nearest.
pub fn decide(
    grants: &[Grant],
    subject: &Subject,
    audiences: &[Audience],
) -> Result<Vec<AllowedAudience>, Denial> {
    let mut fitting = Vec::new();
    let mut nearest = Mismatch::NoGrant;
    for grant in grants {
        match grant.mismatch(subject) {
            None => fitting.push(grant),
            Some(mismatch) => nearest = nearest.max(mismatch),
        }
    }
    if fitting.is_empty() {
        let field = nearest.field(subject);
        let value = match field {
            "organization" => subject.organization().to_string(),
            "subject_form" => subject.form().as_str().to_owned(),
            "project" => subject
                .project()
                .map(ToString::to_string)
                .unwrap_or_default(),
            "deployment" => subject
                .deployment()
                .map(ToString::to_string)
                .unwrap_or_default(),
            "run_phase" => subject.phase().to_string(),
            _ => subject.target().to_string(),
        };
        return Err(Denial {
            mismatch: nearest,
            field,
            value,
        });
    }
    audiences
        .iter()
        .map(|audience| {
            fitting
                .iter()
                .filter(|grant| grant.audiences.iter().any(|p| p.matches(audience.as_str())))
                .map(|grant| grant.max_ttl.unwrap_or(i64::MAX))
                .max()
                .map(|max_ttl| AllowedAudience {
                    audience: audience.clone(),
                    max_ttl: (max_ttl != i64::MAX).then_some(max_ttl),
                })
                .ok_or_else(|| Denial {
                    mismatch: Mismatch::Audience,
                    field: Mismatch::Audience.field(subject),
                    value: audience.as_str().to_owned(),
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> Grant {
        serde_json::from_str(json).unwrap()
    }

    fn ask(grants: &[Grant], subject: &str, audience: &str) -> Result<Option<i64>, Mismatch> {
        let audience = Audience::parse("audiences", audience).unwrap();
        decide(grants, &subject.parse().unwrap(), &[audience])
            .map(|allowed| allowed[0].max_ttl)
            .map_err(|denial| denial.mismatch)
    }

    #[test]
    fn every_part_has_to_match_and_the_reason_is_the_nearest_miss() {
        let grants = [grant(
            r#"{"organization":"acme","project":"Infra","workspace":"net-*",
                "run_phases":["plan"],"audiences":["aws.workload.identity"],"max_ttl":600}"#,
        )];
        let subject = |o: &str, p: &str, w: &str, phase: &str| {
            format!("organization:{o}:project:{p}:workspace:{w}:run_phase:{phase}")
        };
        let aws = "aws.workload.identity";
        let cases = [
            (
                subject("acme", "Infra", "net-1", "plan"),
                aws,
                Ok(Some(600)),
            ),
            (
                subject("evil", "Infra", "net-1", "plan"),
                aws,
                Err(Mismatch::Organization),
            ),
            (
                subject("acme", "Other", "net-1", "plan"),
                aws,
                Err(Mismatch::Project),
            ),
            (
                subject("acme", "Infra", "app-1", "plan"),
                aws,
                Err(Mismatch::Workspace),
            ),
            (
                subject("acme", "Infra", "net-1", "apply"),
                aws,
                Err(Mismatch::Phase),
            ),
            (
                subject("acme", "Infra", "net-1", "plan"),
                "vault",
                Err(Mismatch::Audience),
            ),
        ];
        for (subject, audience, expected) in cases {
            assert_eq!(ask(&grants, &subject, audience), expected, "{subject}");
        }
        assert_eq!(
            ask(&[], &subject("a", "b", "c", "plan"), aws),
            Err(Mismatch::NoGrant)
        );
    }

    #[test]
    fn a_subject_without_a_project_needs_a_grant_over_all_projects() {
        let of = |project: &str| {
            [grant(&format!(
                r#"{{"organization":"acme","project":"{project}","audiences":["a"],
                    "subject_forms":["legacy"]}}"#
            ))]
        };
        let legacy = "organization:acme:workspace:net:run_phase:plan";
        assert_eq!(ask(&of("*"), legacy, "a"), Ok(None));
        assert_eq!(ask(&of("Infra"), legacy, "a"), Err(Mismatch::Project));
        assert_eq!(ask(&of("Inf*"), legacy, "a"), Err(Mismatch::Project));
    }

    #[test]
    fn other_forms_than_a_workspace_need_a_word() {
        let grants = [grant(r#"{"organization":"*","audiences":["a"]}"#)];
        let test = "organization:acme:module:vpc:operation:test_run";
        assert_eq!(ask(&grants, test, "a"), Err(Mismatch::SubjectForm));
    }

    #[test]
    fn a_grant_may_name_the_deployments_of_a_stack() {
        let grants = [grant(
            r#"{"organization":"o","workspace":"net","deployment":"test-*","audiences":["a"],
                "subject_forms":["stack"]}"#,
        )];
        let of = |deployment: &str| {
            format!("organization:o:project:p:stack:net:deployment:{deployment}:operation:plan")
        };
        assert_eq!(ask(&grants, &of("test-1"), "a"), Ok(None));
        assert_eq!(ask(&grants, &of("prod"), "a"), Err(Mismatch::Deployment));
    }

    #[test]
    fn two_grants_are_not_added_up_into_a_third() {
        let grants = [
            grant(
                r#"{"organization":"o","workspace":"a","run_phases":["plan"],"audiences":["x"]}"#,
            ),
            grant(
                r#"{"organization":"o","workspace":"b","run_phases":["apply"],"audiences":["y"]}"#,
            ),
        ];
        let subject = "organization:o:project:p:workspace:a:run_phase:apply";
        assert_eq!(ask(&grants, subject, "x"), Err(Mismatch::Phase));
        let subject = "organization:o:project:p:workspace:a:run_phase:plan";
        assert_eq!(ask(&grants, subject, "y"), Err(Mismatch::Audience));
    }

    #[test]
    fn a_grant_that_could_never_match_is_refused_with_its_place() {
        let cases = [
            (
                r#"{"organization":"o","audiences":[]}"#,
                "grants[2].audiences",
            ),
            (
                r#"{"organization":"","audiences":["a"]}"#,
                "grants[2].organization",
            ),
            (
                r#"{"organization":"a:b","audiences":["a"]}"#,
                "grants[2].organization",
            ),
            (
                r#"{"organization":"o","project":"x/y","audiences":["a"]}"#,
                "grants[2].project",
            ),
            (
                r#"{"organization":"o","run_phases":[],"audiences":["a"]}"#,
                "grants[2].run_phases",
            ),
            (
                r#"{"organization":"o","max_ttl":0,"audiences":["a"]}"#,
                "grants[2].max_ttl",
            ),
            (
                r#"{"organization":"o","deployment":"prod","audiences":["a"]}"#,
                "grants[2].deployment",
            ),
        ];
        for (json, field) in cases {
            assert_eq!(grant(json).check(2).unwrap_err().field, field);
        }
        assert!(
            serde_json::from_str::<Grant>(r#"{"organisation":"o","audiences":["a"]}"#).is_err()
        );
    }
}
