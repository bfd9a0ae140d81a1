//! Variables that no configuration reads, though somebody meant something by them.

use super::names::{self, Family, MANUAL_TOKEN, Meaning};
use super::{Enabled, Environment, InvalidVariable, Problems};

/// How many letters off a switch's name is still nearly that name.
const NEARLY: usize = 2;

/// Finds settings without their switch, forms that there are not, and misspelt names.
pub(super) fn check(environment: &Environment, enabled: &Enabled, problems: &mut Problems) {
    for variable in environment.names() {
        let Some((family, meaning)) = names::meaning(variable) else {
            continue;
        };
        if !family.is_supported() {
            continue;
        }
        let problem = match meaning {
            Meaning::Default | Meaning::Switch { .. } => None,
            Meaning::DefaultSwitch => Some(default_switch(variable, family)),
            Meaning::DefaultWithTag { part } => {
                is_on(family, enabled).then(|| default_with_tag(variable, family, &part))
            }
            Meaning::Setting { tag: Some(tag) } => tagged(variable, family, tag, environment),
            Meaning::Setting { tag: None } => untagged(variable, family, environment, enabled),
            Meaning::Unknown => misspelt(variable, family, enabled),
        };
        problems.extend(problem);
    }
}

fn default_switch(variable: &str, family: Family) -> InvalidVariable {
    let switch = family.switch(None);
    let rule =
        format!("has no `TFC_DEFAULT_` form: set `{switch}`, and `{switch}_TAG` for each tag");
    InvalidVariable::new(variable, rule)
}

fn default_with_tag(variable: &str, family: Family, part: &str) -> InvalidVariable {
    let default = family.default(part);
    let rule = format!("a default has no tag: set `{default}`, which holds for all of them");
    InvalidVariable::new(variable, rule)
}

fn tagged(
    variable: &str,
    family: Family,
    tag: &str,
    environment: &Environment,
) -> Option<InvalidVariable> {
    let switch = format!("{}_{tag}", family.switch(None));
    let rule = format!(
        "does nothing, since `{switch}` is not set: set that to `true` or `false`, or correct the tag \
         here"
    );
    let is_alone = environment.find(&switch).is_none();
    is_alone.then(|| InvalidVariable::new(variable, rule))
}

fn untagged(
    variable: &str,
    family: Family,
    environment: &Environment,
    enabled: &Enabled,
) -> Option<InvalidVariable> {
    let switch = family.switch(None);
    if environment.find(&switch).is_some() {
        return None;
    }
    let why = if is_on(family, enabled) {
        "tagged configurations take tagged variables and defaults only"
    } else if enabled.is_empty() {
        "nothing is switched on"
    } else {
        return None;
    };
    let rule = format!(
        "does nothing, since `{switch}` is not set and {why}: set that to `true`, or to `false` if this \
         is left over"
    );
    Some(InvalidVariable::new(variable, rule))
}

fn misspelt(variable: &str, family: Family, enabled: &Enabled) -> Option<InvalidVariable> {
    if variable.starts_with(&Family::Manual.explicit(MANUAL_TOKEN, None)) {
        return None;
    }
    let known = known(family, enabled).into_iter();
    let nearest = known.min_by_key(|known| distance(variable, known))?;
    let is_meant = is_on(family, enabled) || distance(variable, &family.switch(None)) <= NEARLY;
    let rule = format!("is no variable that means anything; did you mean `{nearest}`?");
    is_meant.then(|| InvalidVariable::new(variable, rule))
}

/// All names that mean something, with the tags that there are.
fn known(family: Family, enabled: &Enabled) -> Vec<String> {
    let tags = enabled.iter().filter(|(on, _)| *on == family);
    let mut tags: Vec<_> = tags.map(|(_, tag)| tag.as_ref()).collect();
    tags.push(None);
    let parts = family.parts();
    let explicit = parts.iter().flat_map(|part| {
        let tags = tags.iter();
        tags.map(|tag| family.explicit(part, *tag))
    });
    // The switch, which is the first, has no default.
    let default = parts.iter().skip(1).map(|part| family.default(part));
    explicit.chain(default).collect()
}

fn is_on(family: Family, enabled: &Enabled) -> bool {
    enabled.iter().any(|(on, _)| *on == family)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
