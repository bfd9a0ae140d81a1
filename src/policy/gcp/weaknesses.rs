//! What lets in more than it seems to.

use super::condition::literals;
use super::provider::{Provider, mapping_place};
use crate::policy::Weakness;

/// Audiences that other relying parties take: a token that is made for them would do here as well.
const OF_OTHERS: &[&str] = &[
    "api://AzureADTokenExchange",
    "aws.workload.identity",
    "hcp.workload.identity",
    "kubernetes",
    "sts.amazonaws.com",
    "vault.workload.identity",
];

/// Claims that hold ids, which a client says when it opens a run.
const IDS: &[&str] = &[
    "terraform_organization_id",
    "terraform_plan_id",
    "terraform_project_id",
    "terraform_run_id",
    "terraform_stack_id",
    "terraform_workspace_id",
];

/// Whether an expression reads an id.
pub(super) fn is_of_ids(source: &str) -> bool {
    IDS.iter().any(|id| source.contains(id))
}

impl Provider {
    /// What is weak in it.
    pub(super) fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = self.of_audiences();
        found.extend(self.of_the_subject());
        found.extend(self.of_the_condition());
        found
    }

    fn of_audiences(&self) -> Vec<Weakness> {
        let of_others = self.audiences.iter().enumerate().filter(|(_, audience)| {
            OF_OTHERS.contains(&audience.as_str()) || **audience == self.issuer
        });
        of_others
            .map(|(index, audience)| Weakness {
                place: self.place(&format!("oidc.allowedAudiences[{index}]")),
                what: format!(
                    "`{audience}` is not this provider's alone: a token made for another relying party \
                     is taken here too; leave the list empty, so that it is the provider's full name"
                ),
            })
            .collect()
    }

    fn of_the_subject(&self) -> Option<Weakness> {
        let source = &self.mapping.get("google.subject")?.source;
        is_of_ids(source).then(|| Weakness {
            place: self.place(&mapping_place("google.subject")),
            what: "the subject is made of ids, which are what a client says when it opens a run, while \
                   grants are about names; map `assertion.sub`, or names"
                .to_owned(),
        })
    }

    fn of_the_condition(&self) -> Vec<Weakness> {
        let weakness = |what: String| Weakness {
            place: self.place("attributeCondition"),
            what,
        };
        let Some(formula) = &self.condition else {
            return vec![weakness(
                "there is no condition: every token that the issuer mints for this audience becomes a \
                 principal of the pool; write one such as \
                 `assertion.sub.startsWith(\"organization:O:project:P:workspace:W:run_phase:\")`"
                    .to_owned(),
            )];
        };
        let source = formula.source.as_str();
        if source.trim() == "true" {
            return vec![weakness(
                "`true` lets in every token that the issuer mints for this audience".to_owned(),
            )];
        }
        literals(source)
            .into_iter()
            .filter_map(|literal| open(&literal.before, &literal.text))
            .map(weakness)
            .collect()
    }
}

/// What a comparison with this text leaves open.
fn open(before: &str, text: &str) -> Option<String> {
    let before = before.trim_end();
    if before.ends_with(".startsWith(") && !text.ends_with([':', '/']) {
        return Some(format!(
            "`startsWith(\"{text}\")` also lets in names that only begin so, such as `{}-x`; end it \
             with `:`, or better with `:run_phase:`",
            text.rsplit(':').next().unwrap_or_default()
        ));
    }
    if before.ends_with(".contains(") {
        return Some(format!(
            "`contains(\"{text}\")` holds wherever the text stands, whatever is before it; compare the \
             whole subject, or its start with `startsWith`"
        ));
    }
    let is_pattern = before.ends_with(".matches(");
    if is_pattern && !(text.starts_with('^') && text.ends_with('$')) {
        return Some(format!(
            "`matches(\"{text}\")` holds if a part of the claim fits; begin the pattern with `^` and \
             end it with `$`"
        ));
    }
    if is_pattern && text.contains('|') && !text.contains('(') {
        return Some(format!(
            "`|` in `{text}` parts the whole pattern, so that `^` and `$` hold for one side each; put \
             the alternatives into brackets"
        ));
    }
    None
}
