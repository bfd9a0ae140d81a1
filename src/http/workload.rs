//! What two requests have in common: who the run is, and what it asks tokens for.

use crate::domain::InvalidField;
use crate::domain::claims::Audience;
use crate::domain::name::{Name, ProjectName};
use crate::domain::phase::Phase;
use crate::domain::subject::{Subject, SubjectForm};
use crate::domain::workload::{SentIds, Workload};

/// A body that starts with these fields and ends with its own. (serde can flatten a struct into
/// another, but then no longer refuses unknown fields.)
macro_rules! workload_body {
    ($(#[$doc:meta])* $name:ident { $($(#[$extra_doc:meta])* $extra:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        // One of each form: which fields go together, the fields themselves cannot say.
        #[schema(examples(
            json!({"organization": "acme", "project": "Default Project", "workspace": "net-1",
                "run_phase": "plan", "audiences": ["aws.workload.identity"]}),
            json!({"subject_form": "legacy", "organization": "acme", "workspace": "net-1",
                "run_phase": "apply", "audiences": ["aws.workload.identity"]}),
            json!({"subject_form": "stack", "organization": "acme", "project": "Default Project",
                "stack": "net", "deployment": "prod", "run_phase": "plan",
                "audiences": ["aws.workload.identity"]}),
            json!({"subject_form": "module_test", "organization": "acme", "module": "vpc",
                "audiences": ["aws.workload.identity"]})
        ))]
        pub(super) struct $name {
            /// The organization's name.
            #[schema(example = "acme", min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]+$")]
            organization: String,
            /// The project's name; not in the `legacy` and `module_test` forms.
            #[schema(example = "Default Project", min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]([A-Za-z0-9 _-]*[A-Za-z0-9_-])?$")]
            project: Option<String>,
            /// The workspace's name.
            #[schema(example = "net-1", min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]+$")]
            workspace: Option<String>,
            /// The stack's name, in the `stack` form.
            #[schema(min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]+$")]
            stack: Option<String>,
            /// The deployment's name, in the `stack` form.
            #[schema(min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]+$")]
            deployment: Option<String>,
            /// The module's name, in the `module_test` form.
            #[schema(min_length = 1, max_length = 90, pattern = "^[A-Za-z0-9_-]+$")]
            module: Option<String>,
            /// `plan` or `apply`; not in the `module_test` form.
            #[schema(example = "plan", value_type = Option<crate::domain::phase::Phase>)]
            run_phase: Option<String>,
            /// The form of the subject; `workspace` when left out.
            subject_form: Option<crate::domain::subject::SubjectForm>,
            /// For `terraform_organization_id`; derived from the name when left out.
            #[schema(min_length = 1, max_length = 54, pattern = "^[A-Za-z0-9_-]+$")]
            organization_id: Option<String>,
            /// For `terraform_project_id`; derived from the names when left out.
            #[schema(min_length = 1, max_length = 54, pattern = "^[A-Za-z0-9_-]+$")]
            project_id: Option<String>,
            /// For `terraform_workspace_id`; derived from the names when left out.
            #[schema(min_length = 1, max_length = 54, pattern = "^[A-Za-z0-9_-]+$")]
            workspace_id: Option<String>,
            /// For `terraform_stack_id`; derived from the names when left out.
            #[schema(min_length = 1, max_length = 54, pattern = "^[A-Za-z0-9_-]+$")]
            stack_id: Option<String>,
            /// For `terraform_run_id`; made when left out.
            #[schema(example = "run-CKuwsxMGgMd3W7Ui", min_length = 1, max_length = 54, pattern = "^[A-Za-z0-9_-]+$")]
            run_id: Option<String>,
            /// What tokens may be asked for.
            #[schema(
                example = json!(["aws.workload.identity"]),
                min_items = 1,
                max_items = 64,
                value_type = Vec<crate::domain::claims::Audience>
            )]
            audiences: Vec<String>,
            $($(#[$extra_doc])* $extra: $type,)*
        }

        impl $name {
            /// The workload and the audiences, and what is this body's own.
            fn parts(
                self,
                random: &[u8; 16],
            ) -> Result<
                (
                    crate::domain::workload::Workload,
                    Vec<crate::domain::claims::Audience>,
                    ($($type,)*),
                ),
                crate::domain::InvalidField,
            > {
                let Self {
                    organization, project, workspace, stack, deployment, module, run_phase,
                    subject_form, organization_id, project_id, workspace_id, stack_id, run_id,
                    audiences, $($extra,)*
                } = self;
                let names = $crate::http::workload::Names {
                    organization, project, workspace, stack, deployment, module, run_phase,
                    subject_form, organization_id, project_id, workspace_id, stack_id, run_id,
                };
                let audiences = $crate::http::workload::audiences(&audiences)?;
                Ok((names.workload(random)?, audiences, ($($extra,)*)))
            }
        }
    };
}

pub(super) use workload_body;

/// The names and ids of a body, not looked at yet.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) organization: String,
    pub(super) project: Option<String>,
    pub(super) workspace: Option<String>,
    pub(super) stack: Option<String>,
    pub(super) deployment: Option<String>,
    pub(super) module: Option<String>,
    pub(super) run_phase: Option<String>,
    pub(super) subject_form: Option<SubjectForm>,
    pub(super) organization_id: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) workspace_id: Option<String>,
    pub(super) stack_id: Option<String>,
    pub(super) run_id: Option<String>,
}

/// More audiences than anybody has relying parties.
const MAX_AUDIENCES: usize = 64;

impl Names {
    /// Parses them into a workload, once and for all.
    pub(super) fn workload(self, random: &[u8; 16]) -> Result<Workload, InvalidField> {
        let organization = Name::parse("organization", &self.organization)?;
        let mut fields = Fields {
            form: self.subject_form.unwrap_or_default(),
            left: Vec::new(),
        };
        let mut project = fields.take("project", self.project);
        let mut workspace = fields.take("workspace", self.workspace);
        let mut stack = fields.take("stack", self.stack);
        let mut deployment = fields.take("deployment", self.deployment);
        let mut module = fields.take("module", self.module);
        let mut phase = fields.take("run_phase", self.run_phase);

        let subject = match fields.form {
            SubjectForm::Legacy => Subject::Legacy {
                organization,
                workspace: fields.name(&mut workspace, "workspace")?,
                phase: fields.phase(&mut phase)?,
            },
            SubjectForm::ModuleTest => Subject::ModuleTest {
                organization,
                module: fields.name(&mut module, "module")?,
            },
            SubjectForm::Stack => Subject::Stack {
                organization,
                project: fields.project(&mut project)?,
                stack: fields.name(&mut stack, "stack")?,
                deployment: fields.name(&mut deployment, "deployment")?,
                phase: fields.phase(&mut phase)?,
            },
            SubjectForm::Workspace => Subject::Workspace {
                organization,
                project: fields.project(&mut project)?,
                workspace: fields.name(&mut workspace, "workspace")?,
                phase: fields.phase(&mut phase)?,
            },
        };
        fields.nothing_left()?;
        subject.check_length()?;
        let target = match (fields.form, self.workspace_id, self.stack_id) {
            (SubjectForm::Stack, Some(_), _) => return Err(misplaced("workspace_id", fields.form)),
            (SubjectForm::Stack, None, id) | (_, id, None) => id,
            (_, _, Some(_)) => return Err(misplaced("stack_id", fields.form)),
        };
        let sent = SentIds {
            organization: self.organization_id,
            project: self.project_id,
            target,
            run: self.run_id,
        };
        Workload::new(subject, sent, random)
    }
}

/// Parses the audiences; one that is named twice counts once.
pub(super) fn audiences(values: &[String]) -> Result<Vec<Audience>, InvalidField> {
    if values.is_empty() {
        return Err(InvalidField::new(
            "audiences",
            "is empty; name what tokens may be asked for, e.g. `aws.workload.identity`",
        ));
    }
    if values.len() > MAX_AUDIENCES {
        return Err(InvalidField::new(
            "audiences",
            format!(
                "has {} entries; at most {MAX_AUDIENCES} are taken",
                values.len()
            ),
        ));
    }
    let mut audiences = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let audience = Audience::parse(&format!("audiences[{index}]"), value)?;
        if !audiences.contains(&audience) {
            audiences.push(audience);
        }
    }
    Ok(audiences)
}

/// Which of the optional fields were given; each form of subject uses up its own.
struct Fields {
    form: SubjectForm,
    left: Vec<&'static str>,
}

impl Fields {
    fn take(&mut self, field: &'static str, value: Option<String>) -> Option<String> {
        if value.is_some() {
            self.left.push(field);
        }
        value
    }

    fn use_up(
        &mut self,
        value: &mut Option<String>,
        field: &'static str,
    ) -> Result<String, InvalidField> {
        self.left.retain(|left| *left != field);
        value
            .take()
            .ok_or_else(|| InvalidField::new(field, "is missing"))
    }

    fn name(
        &mut self,
        value: &mut Option<String>,
        field: &'static str,
    ) -> Result<Name, InvalidField> {
        Name::parse(field, &self.use_up(value, field)?)
    }

    fn project(&mut self, value: &mut Option<String>) -> Result<ProjectName, InvalidField> {
        ProjectName::parse("project", &self.use_up(value, "project")?)
    }

    fn phase(&mut self, value: &mut Option<String>) -> Result<Phase, InvalidField> {
        Phase::parse("run_phase", &self.use_up(value, "run_phase")?)
    }

    fn nothing_left(&self) -> Result<(), InvalidField> {
        self.left
            .first()
            .map_or(Ok(()), |field| Err(misplaced(field, self.form)))
    }
}

fn misplaced(field: &str, form: SubjectForm) -> InvalidField {
    let form = form.as_str();
    InvalidField::new(
        field,
        format!(
            "does not belong to the subject_form `{form}`; leave it out or choose another form"
        ),
    )
}
