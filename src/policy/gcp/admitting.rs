//! The smallest change of a provider with which it takes a token.

use super::formula::{Formula, Mapped};
use super::mapping::assertion;
use super::provider::{Provider, mapping_place};
use crate::domain::subject::MAX_GCP_LENGTH;
use crate::expression::Variables;
use crate::policy::kubernetes::tests_only;
use crate::policy::{Change, Outcome, Presented};

/// IAM's limits (REST reference, `workloadIdentityPools.providers`): audiences of a provider, characters
/// of an audience, characters of a condition.
const MOST_AUDIENCES: usize = 10;
const LONGEST_AUDIENCE: usize = 256;
const LONGEST_CONDITION: usize = 4_096;

/// What a new audience does where other subjects are let in.
const FOR_OTHERS: &str =
    ": with it the other subjects that the policy names may use this audience too";

/// Names in place of a subject that is too long, the fullest first.
const SHORTER: &[&str] = &[
    "assertion.terraform_organization_name + '/' + assertion.terraform_project_name + '/' + \
     assertion.terraform_workspace_name + ':' + assertion.terraform_run_phase",
    "assertion.terraform_project_name + '/' + assertion.terraform_workspace_name + ':' + \
     assertion.terraform_run_phase",
    "assertion.terraform_workspace_name + ':' + assertion.terraform_run_phase",
];

/// Several changes as one.
pub(super) fn joined(changes: Vec<Change>) -> Option<Change> {
    let mut changes = changes.into_iter();
    let first = changes.next()?;
    Some(changes.fold(first, |all, next| Change {
        place: format!("{}, {}", all.place, next.place),
        what: format!("{}; {}", all.what, next.what),
        before: match (all.before, next.before) {
            (Some(one), Some(other)) => Some(format!("{one}\n{other}")),
            (one, other) => one.or(other),
        },
        after: format!("{}\n{}", all.after, next.after),
    }))
}

impl Provider {
    /// Changes it so that it takes the token; nothing if no change can.
    pub(super) fn admit(&mut self, presented: &Presented) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        changes.extend(self.enable());
        changes.extend(self.admit_issuer(presented)?);
        changes.extend(self.admit_audience(presented)?);
        changes.extend(self.admit_mapping(presented)?);
        changes.extend(self.admit_condition(presented)?);
        Some(changes)
    }

    fn enable(&mut self) -> Option<Change> {
        if !self.is_disabled && !self.is_deleted {
            return None;
        }
        let (place, what) = if self.is_deleted {
            (
                "state",
                "bring the provider back: `gcloud iam workload-identity-pools providers undelete`",
            )
        } else {
            ("disabled", "enable the provider")
        };
        let change = Change {
            place: self.place(place),
            what: what.to_owned(),
            before: Some(if self.is_deleted { "DELETED" } else { "true" }.to_owned()),
            after: if self.is_deleted { "ACTIVE" } else { "false" }.to_owned(),
        };
        (self.is_disabled, self.is_deleted) = (false, false);
        Some(change)
    }

    fn admit_issuer(&mut self, presented: &Presented) -> Option<Vec<Change>> {
        let issuer = presented.text("iss")?;
        if issuer == self.issuer {
            return Some(Vec::new());
        }
        if !issuer.starts_with("https://") {
            return None;
        }
        let before = std::mem::replace(&mut self.issuer, issuer.to_owned());
        Some(vec![Change {
            place: self.place("oidc.issuerUri"),
            what: format!("set the issuer to `{issuer}`"),
            before: Some(before),
            after: issuer.to_owned(),
        }])
    }

    fn admit_audience(&mut self, presented: &Presented) -> Option<Vec<Change>> {
        let found = presented.texts("aud");
        // A list would switch off a name that is not known here.
        let (taken, is_default) = self.audiences()?;
        if found.iter().any(|found| taken.iter().any(|t| t == found)) {
            return Some(Vec::new());
        }
        let audience = *found.first()?;
        // A list switches the provider's full name off: who uses it keeps it.
        let mut audiences = taken;
        audiences.push(audience.to_owned());
        if audiences.len() > MOST_AUDIENCES || audience.len() > LONGEST_AUDIENCE {
            return None;
        }
        self.audiences.clone_from(&audiences);
        let others = if self.names_only(presented) {
            ""
        } else {
            FOR_OTHERS
        };
        let kept = if is_default {
            ", beside the provider's full name, which a list would switch off"
        } else {
            ""
        };
        Some(vec![Change {
            place: self.place("oidc.allowedAudiences"),
            what: format!("add the audience `{audience}`{kept}{others}"),
            before: None,
            after: audiences.join("\n"),
        }])
    }

    /// Whether the condition lets in this subject alone.
    fn names_only(&self, presented: &Presented) -> bool {
        let Some(condition) = &self.condition else {
            return false;
        };
        let of = "assertion.sub ==";
        let subject = condition.source.trim().strip_prefix(of).map(str::trim);
        let own = presented.text("sub").unwrap_or_default();
        subject.is_some_and(|text| text == quoted(own) || text == format!("'{own}'"))
    }

    fn admit_mapping(&mut self, presented: &Presented) -> Option<Vec<Change>> {
        let claims = assertion(presented);
        let mut changes = Vec::new();
        let fits = |source: &str| match Formula::mapping(source).map(&claims) {
            Mapped::Text(text) => !text.is_empty() && text.len() <= MAX_GCP_LENGTH,
            _ => false,
        };
        let subject = self.mapping.get("google.subject");
        let subject = subject.map(|formula| formula.source.clone());
        if !subject.as_deref().is_some_and(fits) {
            let source = shorter(subject.as_deref(), fits)?;
            changes.push(self.map("google.subject", Some(&source)));
        }
        let others = self.mapping.clone();
        for (attribute, formula) in &others {
            let is_text = matches!(formula.map(&claims), Mapped::Text(_));
            if attribute == "google.subject" || attribute == "google.groups" || is_text {
                continue;
            }
            let as_text = as_text(&formula.source, &claims);
            changes.push(self.map(attribute, as_text.as_deref()));
        }
        Some(changes)
    }

    /// Maps an attribute, or no more.
    fn map(&mut self, attribute: &str, source: Option<&str>) -> Change {
        let place = self.place(&mapping_place(attribute));
        let before = match source {
            Some(source) => self
                .mapping
                .insert(attribute.to_owned(), Formula::mapping(source)),
            None => self.mapping.remove(attribute),
        };
        Change {
            place,
            what: source.map_or_else(
                || format!("map `{attribute}` no more"),
                |source| format!("map `{attribute}` to `{source}`"),
            ),
            before: before.map(|formula| formula.source),
            after: source.unwrap_or_default().to_owned(),
        }
    }

    fn admit_condition(&mut self, presented: &Presented) -> Option<Vec<Change>> {
        let (identity, _) = self.identity(presented);
        let outcome = self.condition_check(presented, &identity);
        if outcome.is_none_or(|check| check.outcome == Outcome::Holds) {
            return Some(Vec::new());
        }
        let condition = self.condition.as_ref()?;
        // What is not understood here cannot be changed with a known result.
        if condition.strangeness().is_some() {
            return None;
        }
        // What is no test of the subject is a limit that is meant for this one too.
        let mapped = self.mapping.get("google.subject");
        let is_mapped = mapped.is_some_and(|formula| formula.source.trim() == "assertion.sub");
        let source = condition.source.as_str();
        let is_of_subject = tests_only("assertion.sub", source)
            || (is_mapped && tests_only("google.subject", source));
        if !is_of_subject {
            return None;
        }
        let before = condition.source.clone();
        let subject = presented.text("sub")?;
        let addition = format!("assertion.sub == {}", quoted(subject));
        let after = format!("({before}) || {addition}");
        if after.chars().count() > LONGEST_CONDITION {
            return None;
        }
        self.condition = Some(Formula::condition(&after));
        Some(vec![Change {
            place: self.place("attributeCondition"),
            what: format!("add `|| {addition}`"),
            before: Some(before),
            after,
        }])
    }
}

/// A mapping of the subject that fits: the one that is there where it does, names where it does not.
fn shorter(source: Option<&str>, fits: impl Fn(&str) -> bool) -> Option<String> {
    let Some(source) = source else {
        let all = std::iter::once(&"assertion.sub").chain(SHORTER);
        return all.copied().find(|source| fits(source)).map(str::to_owned);
    };
    let names = SHORTER.iter().copied().find(|source| fits(source))?;
    let either = format!("size({source}) <= {MAX_GCP_LENGTH} ? ({source}) : ({names})");
    Some(if fits(&either) {
        either
    } else {
        names.to_owned()
    })
}

/// The same mapping as a text, also where the claim is not there.
fn as_text(source: &str, claims: &Variables) -> Option<String> {
    [
        format!("string({source})"),
        format!("has({source}) ? string({source}) : ''"),
    ]
    .into_iter()
    .find(|source| matches!(Formula::mapping(source).map(claims), Mapped::Text(_)))
}

/// A text of CEL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
