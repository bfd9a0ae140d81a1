//! The settings of one configuration: which variable's value counts, and what is said of the others.

use crate::domain::phase::Phase;

use super::configuration::Tag;
use super::names::{AUDIENCE, Family, Setting};
use super::{Enabled, Environment, InvalidVariable, Problems, forms};

/// The settings of one configuration.
pub(super) struct Settings<'a> {
    pub(super) environment: &'a Environment,
    pub(super) phase: Option<Phase>,
    pub(super) family: Family,
    pub(super) tag: Option<&'a Tag>,
    pub(super) enabled: &'a Enabled,
    pub(super) problems: &'a mut Problems,
}

/// There is no value, and the problems say why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told;

pub(super) type Read<T> = Result<T, Told>;

impl<'a> Settings<'a> {
    /// The value of `setting` in this phase, if there is one, in the form that `form` takes.
    pub(super) fn optional<T>(
        &mut self,
        setting: Setting,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Read<Option<T>> {
        let [plan, apply] = Phase::ALL.map(|phase| self.find(setting, phase));
        let undecided = self.find_undecided(setting, [&plan, &apply]);
        // Both, whatever the phase is: a plan should not pass when its apply cannot.
        let plan = self.take(plan, &form);
        let apply = self.take(apply, &form);
        if let Some(variable) = undecided {
            let rule = "holds in one phase only, and nobody says which phase this is: give \
                        `--run-phase plan` or `--run-phase apply`";
            return Err(self.refuse(variable, rule));
        }
        match self.phase {
            Some(Phase::Apply) => apply,
            Some(Phase::Plan) | None => plan,
        }
    }

    /// The same of a setting that the configuration cannot do without.
    pub(super) fn required<T>(
        &mut self,
        setting: Setting,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Read<T> {
        let value = self.optional(setting, form)?;
        value.ok_or_else(|| self.refuse_missing(setting))
    }

    /// The audience, which is `default` if nothing is said.
    pub(super) fn audience(&mut self, default: &str) -> Read<String> {
        let audience = self.optional(AUDIENCE, forms::audience)?;
        Ok(audience.unwrap_or_else(|| default.to_owned()))
    }

    /// The variables that say `setting` of this configuration in particular, whatever the phase.
    pub(super) fn explicit(&self, setting: Setting) -> Vec<String> {
        let parts = setting.parts().into_iter();
        let variables = parts.map(|part| self.family.explicit(&part, self.tag));
        let is_set = |variable: &String| self.environment.find(variable).is_some();
        variables.filter(is_set).collect()
    }

    /// Whether anything at all says `setting`.
    pub(super) fn is_set(&self, setting: Setting) -> bool {
        let mut phases = Phase::ALL.into_iter();
        phases.any(|phase| self.find(setting, phase).is_some())
    }

    /// Refuses to be told `setting` of this configuration in particular. A default may be meant for
    /// others.
    pub(super) fn refuse_explicit(&mut self, setting: Setting, rule: &str) -> Read<()> {
        let variables = self.explicit(setting).into_iter();
        let told = variables.map(|variable| self.refuse(variable, rule)).last();
        told.map_or(Ok(()), Err)
    }

    /// Says that `setting` is missing.
    pub(super) fn refuse_missing(&mut self, setting: Setting) -> Told {
        let part = setting.part();
        let mut rule = format!(
            "must be set, since `{}` is on",
            self.family.switch(self.tag)
        );
        if let [_, plan, apply] = setting.parts().as_slice() {
            let plan = self.family.explicit(plan, self.tag);
            let apply = self.family.explicit(apply, self.tag);
            rule = format!("{rule} (or `{plan}` and `{apply}`, each for its phase)");
        }
        let untagged = self.family.explicit(&part, None);
        if self.tag.is_some() && self.environment.find(&untagged).is_some() {
            let default = self.family.default(&part);
            rule = format!(
                "{rule}; `{untagged}` is for the configuration without a tag only, `{default}` is for all"
            );
        }
        self.refuse(self.family.explicit(&part, self.tag), rule)
    }

    /// Says what is wrong with a variable.
    pub(super) fn refuse(&mut self, variable: String, rule: impl Into<String>) -> Told {
        self.problems.insert(InvalidVariable::new(variable, rule));
        Told
    }

    /// The variable that counts in `phase`; the order is explained where the module begins.
    fn find(&self, setting: Setting, phase: Phase) -> Option<Found<'a>> {
        let parts = setting.parts_in(phase);
        let explicit = parts
            .iter()
            .map(|part| (part, self.family.explicit(part, self.tag)));
        let default = parts.iter().map(|part| (part, self.family.default(part)));
        explicit.chain(default).find_map(|(part, variable)| {
            let value = self.environment.find(&variable)?;
            let part = part.clone();
            Some(Found {
                variable,
                part,
                value,
            })
        })
    }

    /// The variable because of which the phase matters, when nobody knows the phase.
    fn find_undecided(&self, setting: Setting, found: [&Option<Found<'_>>; 2]) -> Option<String> {
        let [plan, apply] = found.map(|found| found.as_ref().map(|found| found.value));
        if self.phase.is_some() || plan == apply {
            return None;
        }
        let mut found = found.into_iter().flatten();
        let of_phase = found.find(|found| found.part != setting.part())?;
        Some(of_phase.variable.clone())
    }

    /// The value in its form.
    fn take<T>(
        &mut self,
        found: Option<Found<'_>>,
        form: impl Fn(&str) -> Result<T, String>,
    ) -> Read<Option<T>> {
        let Some(Found {
            variable, value, ..
        }) = found
        else {
            return Ok(None);
        };
        form(value).map(Some).map_err(|rule| {
            let is_trim = value.trim() == value;
            let blank = "begins or ends with a blank or a line break; take it away";
            let rule = if is_trim { rule } else { blank.to_owned() };
            self.refuse(variable, rule)
        })
    }
}

/// A variable that has a value.
struct Found<'a> {
    variable: String,
    /// Which spelling of the setting it is.
    part: String,
    value: &'a str,
}
