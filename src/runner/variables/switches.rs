//! Which configurations are switched on.

use super::configuration::Tag;
use super::names::{self, Family, Meaning};
use super::{Enabled, Environment, InvalidVariable, Problems};

/// Those whose switch says `true`, and the manual tokens that have an audience.
pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Enabled {
    let mut enabled = Enabled::new();
    for variable in environment.names() {
        let Some((family, Meaning::Switch { tag })) = names::meaning(variable) else {
            continue;
        };
        let tag = match tag.map(Tag::parse).transpose() {
            Ok(tag) => tag,
            Err(rule) => {
                problems.insert(InvalidVariable::new(variable, rule));
                continue;
            }
        };
        let value = environment.find(variable).unwrap_or_default();
        if value == "true" || family == Family::Manual {
            enabled.insert((family, tag));
        } else if value != "false" {
            let rule = "must be exactly `true` to be on, or `false` to be off, in lower case";
            problems.insert(InvalidVariable::new(variable, rule));
        }
    }
    enabled
}
