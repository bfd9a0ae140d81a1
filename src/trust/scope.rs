//! Who is to be let in, and the closed patterns that say so.

use std::fmt;

use crate::domain::name::{Name, ProjectName};
use crate::domain::phase::Phase;

/// Who is to be let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    /// The organization.
    pub organization: Part<Name>,
    /// The project.
    pub project: Part<ProjectName>,
    /// The workspaces; never empty.
    pub workspaces: Vec<Part<Name>>,
    /// The phases.
    pub phases: Phases,
}

/// One name, or any.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part<T> {
    /// Any: `*`.
    Any,
    /// This one.
    Exactly(T),
}

/// Which phases are let in, and whether each gets something of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phases {
    /// Plan and apply alike.
    Both,
    /// Plan and apply, each with a role, a service account or a name of its own, so that a plan cannot
    /// change anything.
    Apart,
    /// One of them.
    Only(Phase),
}

/// A pattern over subjects of the workspace form: each part is one name or any. Names hold no `:`, and a
/// subject has exactly seven, so that a `*` between two of them cannot reach over a part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectPattern {
    /// The organization.
    pub organization: Part<Name>,
    /// The project.
    pub project: Part<ProjectName>,
    /// The workspace.
    pub workspace: Part<Name>,
    /// The phase; nothing for both.
    pub phase: Option<Phase>,
}

impl<T: fmt::Display> Part<T> {
    /// The name, or `*`.
    pub fn glob(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Exactly(name) => name.to_string(),
        }
    }

    /// The name, unless it is any.
    pub fn exact(&self) -> Option<&T> {
        match self {
            Self::Any => None,
            Self::Exactly(name) => Some(name),
        }
    }

    /// For a regular expression: the name as it stands (names hold nothing that has a meaning there), or
    /// anything without a `:`.
    fn regex(&self) -> String {
        self.exact()
            .map_or_else(|| "[^:]+".to_owned(), T::to_string)
    }
}

impl Scope {
    /// What is let in together: one group, or one for each phase where they are kept apart. The phase is
    /// nothing where both are let in alike.
    pub fn groups(&self) -> Vec<(Option<Phase>, Vec<SubjectPattern>)> {
        let phases: Vec<Option<Phase>> = match self.phases {
            Phases::Both => vec![None],
            Phases::Apart => Phase::ALL.into_iter().map(Some).collect(),
            Phases::Only(phase) => vec![Some(phase)],
        };
        phases
            .into_iter()
            .map(|phase| (phase, self.patterns(phase)))
            .collect()
    }

    /// A pattern for each workspace.
    fn patterns(&self, phase: Option<Phase>) -> Vec<SubjectPattern> {
        self.workspaces
            .iter()
            .map(|workspace| SubjectPattern {
                organization: self.organization.clone(),
                project: self.project.clone(),
                workspace: workspace.clone(),
                phase,
            })
            .collect()
    }

    /// Who else is let in because of a `*`: one sentence for each, without a full stop.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.organization == Part::Any {
            warnings.push(
                "`--organization '*'` admits every organization that this issuer serves".to_owned(),
            );
        }
        if self.project == Part::Any && self.workspaces.iter().any(|w| *w != Part::Any) {
            warnings.push(
                "`--project '*'` admits workspaces of the same name in every project, also in those \
                 that are made later"
                    .to_owned(),
            );
        }
        if self.workspaces.contains(&Part::Any) {
            warnings.push(
                "`--workspace '*'` admits every workspace there, also those that are made later"
                    .to_owned(),
            );
        }
        warnings
    }
}

impl SubjectPattern {
    /// With `*` for what is any, also for both phases: as AWS' `StringLike` and Vault's globs read it.
    pub fn glob(&self) -> String {
        let phase = self.phase.map_or("*", Phase::as_str);
        format!(
            "{}{phase}",
            self.before_the_phase(Part::glob, Part::glob, Part::glob)
        )
    }

    /// The subjects, if it stands for one or two of them.
    pub fn subjects(&self) -> Option<Vec<String>> {
        self.organization.exact()?;
        self.project.exact()?;
        self.workspace.exact()?;
        let start = self.before_the_phase(Part::glob, Part::glob, Part::glob);
        let phases = self
            .phase
            .map_or_else(|| Phase::ALL.to_vec(), |phase| vec![phase]);
        Some(
            phases
                .iter()
                .map(|phase| format!("{start}{phase}"))
                .collect(),
        )
    }

    /// As a regular expression over the whole of a subject (RE2, as CEL's `matches` and HCP read it).
    pub fn regex(&self) -> String {
        let phase = self.phase.map_or("(plan|apply)", Phase::as_str);
        let start = self.before_the_phase(Part::regex, Part::regex, Part::regex);
        format!("^{start}{phase}$")
    }

    /// As a CEL condition over `subject`, e.g. `assertion.sub`. What is exact is compared, what has one
    /// open end closes before it, the rest is a regular expression.
    pub fn cel(&self, subject: &str) -> String {
        if let Some(subjects) = self.subjects() {
            if let [only] = subjects.as_slice() {
                return format!("{subject} == \"{only}\"");
            }
            let start = self.before_the_phase(Part::glob, Part::glob, Part::glob);
            return format!("{subject}.startsWith(\"{start}\")");
        }
        format!("{subject}.matches(\"{}\")", self.regex())
    }

    fn before_the_phase(
        &self,
        organization: fn(&Part<Name>) -> String,
        project: fn(&Part<ProjectName>) -> String,
        workspace: fn(&Part<Name>) -> String,
    ) -> String {
        format!(
            "organization:{}:project:{}:workspace:{}:run_phase:",
            organization(&self.organization),
            project(&self.project),
            workspace(&self.workspace),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(
        organization: &str,
        project: &str,
        workspace: &str,
        phase: Option<Phase>,
    ) -> SubjectPattern {
        let name = |text: &str| match text {
            "*" => Part::Any,
            text => Part::Exactly(Name::parse("name", text).unwrap()),
        };
        let project = match project {
            "*" => Part::Any,
            text => Part::Exactly(ProjectName::parse("project", text).unwrap()),
        };
        SubjectPattern {
            organization: name(organization),
            project,
            workspace: name(workspace),
            phase,
        }
    }

    #[test]
    fn what_is_exact_is_written_out_and_ends_where_the_part_ends() {
        let both = pattern("acme", "Default Project", "prod", None);
        let start = "organization:acme:project:Default Project:workspace:prod:run_phase:";
        assert_eq!(both.glob(), format!("{start}*"));
        assert_eq!(
            both.cel("assertion.sub"),
            format!("assertion.sub.startsWith(\"{start}\")")
        );
        assert_eq!(both.regex(), format!("^{start}(plan|apply)$"));
        assert_eq!(both.subjects().unwrap().len(), 2);
        let plan = pattern("acme", "Default Project", "prod", Some(Phase::Plan));
        assert_eq!(
            plan.cel("claims.sub"),
            format!("claims.sub == \"{start}plan\"")
        );
        assert_eq!(plan.subjects().unwrap(), [format!("{start}plan")]);
    }

    #[test]
    fn what_is_any_reaches_over_no_part() {
        let any = pattern("acme", "*", "prod", Some(Phase::Apply));
        assert_eq!(
            any.glob(),
            "organization:acme:project:*:workspace:prod:run_phase:apply"
        );
        assert_eq!(any.subjects(), None);
        let regex = regex::Regex::new(&any.regex()).unwrap();
        assert!(regex.is_match("organization:acme:project:a b:workspace:prod:run_phase:apply"));
        for other in [
            "organization:acme:project:p:workspace:prod-x:run_phase:apply",
            "organization:acme:project:p:workspace:prod:run_phase:plan",
            "organization:acme-x:project:p:workspace:prod:run_phase:apply",
            "organization:acme:project:p:stack:s:workspace:prod:run_phase:apply",
        ] {
            assert!(!regex.is_match(other), "{other}");
        }
    }
}
