//! A trusted issuer's rules, compiled: from a foreign token's claims to a workload or a client.

use serde_json::Value;

use crate::domain::InvalidField;
use crate::domain::grant::Grant;
use crate::domain::name::{Name, ProjectName};
use crate::domain::phase::Phase;
use crate::domain::subject::Subject;
use crate::domain::trusted_issuer::{Definition, Rule, WorkloadMapping};
use crate::domain::workload::{SentIds, Workload};
use crate::expression::{Dialect, Expression, Variables, Wanted};

/// All rules of an issuer.
#[derive(Debug)]
pub struct Mapping(Vec<CompiledRule>);

/// Who a token stands for.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The rule that says so.
    pub rule: String,
    /// Who.
    pub identity: Identity,
}

/// A workload or a client.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A client, by its name; whether there is one is another question.
    Client(Name),
    /// A workload, and what it may ask for.
    Workload(Box<Workload>, Vec<Grant>),
}

/// What a rule made of a token.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The rule.
    pub rule: String,
    /// Its conditions: as written, and whether they hold or why that cannot be said.
    pub conditions: Vec<(String, Result<bool, String>)>,
    /// What came of it: the identity, or the reason why there is none. Absent when a condition
    /// does not hold.
    pub identity: Option<Result<Identity, String>>,
    /// Why the rule was not taken, if it was not.
    pub denial: Option<String>,
}

#[derive(Debug)]
struct CompiledRule {
    name: String,
    conditions: Vec<(Expression, Option<String>)>,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Client(Expression),
    Workload(Box<Texts>, Vec<Grant>),
}

/// The expressions of a [`WorkloadMapping`].
#[derive(Debug)]
struct Texts {
    organization: Expression,
    project: Expression,
    workspace: Expression,
    run_phase: Expression,
    run_id: Option<Expression>,
    organization_id: Option<Expression>,
    project_id: Option<Expression>,
    workspace_id: Option<Expression>,
}

impl Mapping {
    /// Compiles and type-checks all expressions of a definition.
    ///
    /// # Errors
    /// Names the field and the place in it.
    pub fn compile(definition: &Definition) -> Result<Self, InvalidField> {
        let rules = definition.rules.iter().enumerate();
        rules
            .map(|(index, rule)| CompiledRule::compile(&format!("rules[{index}]"), rule))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Who a token with these claims stands for: the first rule whose conditions all hold decides.
    /// `random` is for a run id that no expression gives.
    ///
    /// # Errors
    /// Each rule's reason.
    pub fn map(&self, payload: &Value, random: &[u8; 16]) -> Result<Mapped, String> {
        let claims = Variables::new("claims", payload);
        let mut reasons = Vec::new();
        for rule in &self.0 {
            if let Some(reason) = rule.denial(&claims) {
                reasons.push(format!("rule {}: {reason}", rule.name));
                continue;
            }
            let identity = rule.identity(&claims, random);
            return identity
                .map(|identity| Mapped {
                    rule: rule.name.clone(),
                    identity,
                })
                .map_err(|reason| format!("rule {}: {reason}", rule.name));
        }
        Err(reasons.join("; "))
    }

    /// What every rule makes of a token, for an operator who wants to know why.
    pub fn explain(&self, payload: &Value, random: &[u8; 16]) -> Vec<Verdict> {
        let claims = Variables::new("claims", payload);
        let rules = self.0.iter();
        rules
            .map(|rule| {
                let conditions: Vec<_> = rule
                    .conditions
                    .iter()
                    .map(|(expression, _)| {
                        (expression.source().to_owned(), expression.holds(&claims))
                    })
                    .collect();
                let denial = rule.denial(&claims);
                let identity = denial.is_none().then(|| rule.identity(&claims, random));
                let failed = identity.as_ref().and_then(|i| i.as_ref().err().cloned());
                Verdict {
                    rule: rule.name.clone(),
                    conditions,
                    identity,
                    denial: denial.or(failed),
                }
            })
            .collect()
    }
}

impl CompiledRule {
    fn compile(place: &str, rule: &Rule) -> Result<Self, InvalidField> {
        let conditions = rule.conditions.iter().enumerate();
        let conditions = conditions
            .map(|(index, condition)| {
                let field = format!("{place}.conditions[{index}].expression");
                let expression = Expression::compile(
                    &field,
                    &condition.expression,
                    Dialect::Rule,
                    Wanted::Bool,
                )?;
                Ok((expression, condition.message.clone()))
            })
            .collect::<Result<_, InvalidField>>()?;
        let target = match (&rule.workload, &rule.client) {
            (Some(workload), _) => {
                let texts = Texts::compile(&format!("{place}.workload"), workload)?;
                Target::Workload(Box::new(texts), rule.grants.clone())
            }
            (None, Some(client)) => {
                let field = format!("{place}.client");
                Target::Client(Expression::compile(
                    &field,
                    client,
                    Dialect::Rule,
                    Wanted::Text,
                )?)
            }
            (None, None) => {
                return Err(InvalidField::new(
                    format!("{place}.workload"),
                    "is missing; a rule maps a token to a `workload` or to a `client`",
                ));
            }
        };
        Ok(Self {
            name: rule.name.clone(),
            conditions,
            target,
        })
    }

    /// The first condition that does not hold.
    fn denial(&self, claims: &Variables) -> Option<String> {
        self.conditions.iter().find_map(|(expression, message)| {
            let said = || match message {
                Some(message) => format!("{message} (`{}`)", expression.source()),
                None => format!("`{}`", expression.source()),
            };
            match expression.holds(claims) {
                Ok(true) => None,
                Ok(false) => Some(format!("{} is false", said())),
                Err(error) => Some(format!("{} cannot be said: {error}", said())),
            }
        })
    }

    fn identity(&self, claims: &Variables, random: &[u8; 16]) -> Result<Identity, String> {
        match &self.target {
            Target::Client(expression) => {
                let name = text("client", expression, claims)?;
                let name = Name::parse("client", &name).map_err(|error| wrong(&error, &name))?;
                Ok(Identity::Client(name))
            }
            Target::Workload(texts, grants) => {
                let workload = texts.workload(claims, random)?;
                Ok(Identity::Workload(Box::new(workload), grants.clone()))
            }
        }
    }
}

impl Texts {
    fn compile(place: &str, mapping: &WorkloadMapping) -> Result<Self, InvalidField> {
        let of = |field: &str, source: &str| {
            Expression::compile(
                &format!("{place}.{field}"),
                source,
                Dialect::Rule,
                Wanted::Text,
            )
        };
        let optional = |field: &str, source: &Option<String>| {
            source.as_ref().map(|source| of(field, source)).transpose()
        };
        let WorkloadMapping {
            organization,
            project,
            workspace,
            run_phase,
            run_id,
            organization_id,
            project_id,
            workspace_id,
        } = mapping;
        Ok(Self {
            organization: of("organization", organization)?,
            project: of("project", project)?,
            workspace: of("workspace", workspace)?,
            run_phase: of("run_phase", run_phase)?,
            run_id: optional("run_id", run_id)?,
            organization_id: optional("organization_id", organization_id)?,
            project_id: optional("project_id", project_id)?,
            workspace_id: optional("workspace_id", workspace_id)?,
        })
    }

    fn workload(&self, claims: &Variables, random: &[u8; 16]) -> Result<Workload, String> {
        let of = |field: &str, expression: &Expression| text(field, expression, claims);
        let optional = |field: &str, expression: &Option<Expression>| {
            expression.as_ref().map(|e| of(field, e)).transpose()
        };
        let name = |field: &str, expression: &Expression| {
            let value = of(field, expression)?;
            Name::parse(field, &value).map_err(|error| wrong(&error, &value))
        };
        let project = of("project", &self.project)?;
        let phase = of("run_phase", &self.run_phase)?;
        let subject = Subject::Workspace {
            organization: name("organization", &self.organization)?,
            project: ProjectName::parse("project", &project)
                .map_err(|error| wrong(&error, &project))?,
            workspace: name("workspace", &self.workspace)?,
            phase: Phase::parse("run_phase", &phase).map_err(|error| wrong(&error, &phase))?,
        };
        subject.check_length().map_err(|error| error.to_string())?;
        let sent = SentIds {
            organization: optional("organization_id", &self.organization_id)?,
            project: optional("project_id", &self.project_id)?,
            target: optional("workspace_id", &self.workspace_id)?,
            run: optional("run_id", &self.run_id)?,
        };
        Workload::new(subject, sent, random).map_err(|error| error.to_string())
    }
}

fn text(field: &str, expression: &Expression, claims: &Variables) -> Result<String, String> {
    expression
        .text(claims)
        .map_err(|error| format!("`{field}` (`{}`): {error}", expression.source()))
}

/// A refused name together with its value, of which a log needs no more than the beginning.
fn wrong(error: &InvalidField, value: &str) -> String {
    let shown: String = value.chars().take(100).collect();
    format!("{error}; it gives {shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(rules: &Value) -> Definition {
        serde_json::from_value(json!({
            "issuer": "https://issuer.example.com", "audiences": ["https://ci.example.com"],
            "rules": rules,
        }))
        .unwrap()
    }

    fn two_rules() -> Mapping {
        let rules = json!([
            {"name": "main", "conditions": [
                {"expression": "claims.repository_owner == 'acme'", "message": "another owner"},
                {"expression": "claims.ref == 'refs/heads/main'"}],
             "workload": {"organization": "'acme'", "project": "'Default Project'",
                "workspace": "claims.repository.split('/')[1]", "run_phase": "'apply'",
                "run_id": "'run-' + claims.run_id"},
             "grants": [{"organization": "acme", "audiences": ["a"]}]},
            {"name": "orchestrator", "conditions": [{"expression": "claims.sub == 'boss'"}],
             "client": "'atlantis'"},
        ]);
        Mapping::compile(&definition(&rules)).unwrap()
    }

    #[test]
    fn the_first_rule_whose_conditions_hold_decides() {
        let claims = json!({"repository_owner": "acme", "ref": "refs/heads/main", "sub": "boss",
            "repository": "acme/net", "run_id": "7"});
        let mapped = two_rules().map(&claims, &[0; 16]).unwrap();
        assert_eq!(mapped.rule, "main");
        let Identity::Workload(workload, grants) = mapped.identity else {
            panic!("{mapped:?}")
        };
        assert_eq!(
            workload.subject.to_string(),
            "organization:acme:project:Default Project:workspace:net:run_phase:apply"
        );
        assert_eq!(workload.ids.run, "run-7");
        assert_eq!(grants.len(), 1);

        let mapped = two_rules().map(&json!({"sub": "boss"}), &[0; 16]).unwrap();
        assert_eq!(mapped.rule, "orchestrator");
        assert!(matches!(mapped.identity, Identity::Client(name) if name.as_str() == "atlantis"));
    }

    #[test]
    fn a_denial_says_why_for_each_rule() {
        let claims = json!({"repository_owner": "evil", "sub": "x"});
        let reason = two_rules().map(&claims, &[0; 16]).unwrap_err();
        for part in [
            "rule main: another owner",
            "rule orchestrator: `claims.sub == 'boss'` is false",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
        let claims = json!({"repository_owner": "acme"});
        let reason = two_rules().map(&claims, &[0; 16]).unwrap_err();
        assert!(reason.contains("cannot be said"), "{reason}");
    }

    #[test]
    fn a_mapping_that_fails_is_not_another_rule_s_chance() {
        let claims = json!({"repository_owner": "acme", "ref": "refs/heads/main", "sub": "boss",
            "repository": "acme/net:x", "run_id": "7"});
        let reason = two_rules().map(&claims, &[0; 16]).unwrap_err();
        assert!(
            reason.contains("workspace") && reason.contains("net:x"),
            "{reason}"
        );
        let verdicts = two_rules().explain(&claims, &[0; 16]);
        assert!(
            verdicts[0]
                .conditions
                .iter()
                .all(|(_, holds)| *holds == Ok(true))
        );
        assert!(verdicts[0].denial.as_ref().unwrap().contains("net:x"));
        assert!(verdicts[1].denial.is_none());
    }

    #[test]
    fn a_mistake_is_refused_with_its_field_and_place() {
        let workload = |workspace: &str| {
            json!([{"name": "a", "grants": [{"organization": "acme", "audiences": ["a"]}],
                "workload": {"organization": "'acme'", "project": "'p'",
                    "workspace": workspace, "run_phase": "'plan'"}}])
        };
        for (rules, field, word) in [
            (
                workload("claim.x"),
                "rules[0].workload.workspace",
                "line 1, column 1",
            ),
            (workload("5"), "rules[0].workload.workspace", "a text"),
            (
                json!([{"name": "a", "client": "'x'", "conditions": [{"expression": "'x'"}]}]),
                "rules[0].conditions[0].expression",
                "true or false",
            ),
            (
                json!([{"name": "a", "client": "true"}]),
                "rules[0].client",
                "a text",
            ),
        ] {
            let error = Mapping::compile(&definition(&rules)).unwrap_err();
            assert_eq!(error.field, field);
            assert!(error.rule.contains(word), "{error}");
        }
    }
}
