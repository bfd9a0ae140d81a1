//! What an operator's word does to the keys: pure, like [`super::plan`], and planned twice like it.

use super::plan::{may_sign, plan};
use crate::domain::key::{KeyState, KeyVersion, Policy, Step, Version, active, staged};
use crate::domain::time::Timestamp;

/// What `rotate` does now: the staged version takes over as soon as it may, which is said by
/// [`super::plan::rotation_ready_at`]; without one, a new version is staged for it.
pub fn plan_rotate(
    keys: &[KeyVersion],
    policy: &Policy,
    seen: &[String],
    now: Timestamp,
) -> Vec<Step> {
    let (Some(active), Some(staged)) = (active(keys), staged(keys)) else {
        let mut steps = plan(keys, policy, seen, now);
        if active(keys).is_some() {
            let version = Version::after(keys);
            if !steps.contains(&Step::Stage(version)) {
                steps.insert(0, Step::Stage(version));
            }
            steps.push(Step::Expedite(version));
        }
        return steps;
    };
    let visible = seen.contains(&staged.kid);
    if visible && may_sign(staged, policy, now) {
        return vec![
            Step::Deactivate(active.version),
            Step::Activate(staged.version),
        ];
    }
    let mut steps = Vec::new();
    if visible && staged.state == (KeyState::Staged { seen_at: None }) {
        steps.push(Step::MarkSeen(staged.version));
    }
    if !staged.expedited {
        steps.push(Step::Expedite(staged.version));
    }
    steps
}

/// A leak: a fresh version signs at once; the leaked one and whatever was staged beside it leave.
///
/// `leaked` is a version that is being revoked; if it is not the active one, that one goes on.
pub fn plan_emergency(keys: &[KeyVersion], leaked: Option<Version>) -> Vec<Step> {
    let active = active(keys);
    let leaked = leaked.or(active.map(|key| key.version));
    let signer_leaked = active.is_none_or(|key| Some(key.version) == leaked);

    let mut steps: Vec<Step> = keys
        .iter()
        .filter(|key| key.state.is_published())
        .filter(|key| {
            Some(key.version) == leaked
                || (signer_leaked && matches!(key.state, KeyState::Staged { .. }))
        })
        .map(|key| Step::Revoke(key.version))
        .collect();
    if signer_leaked {
        let fresh = Version::after(keys);
        steps.extend([Step::Stage(fresh), Step::Activate(fresh)]);
    }
    steps
}

/// What `trim` does now: retiring versions leave if that is safe, the others as soon as it is.
pub fn plan_trim(keys: &[KeyVersion], policy: &Policy, force: bool, now: Timestamp) -> Vec<Step> {
    keys.iter()
        .filter_map(|key| match key.state {
            KeyState::Retiring { deactivated_at, .. } => {
                let safe_at = policy.safe_to_retire_at(deactivated_at, key.tokens_until);
                if force || now >= safe_at {
                    Some(Step::Retire(key.version))
                } else {
                    (!key.expedited).then_some(Step::Expedite(key.version))
                }
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{
        DAY, HOUR, active_since, key, policy, retiring_since, staged_at,
    };
    use super::*;

    #[test]
    fn rotate_stages_waits_and_then_promotes() {
        let rotate = |keys: &[KeyVersion], seen: &[&str], now| {
            let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
            plan_rotate(keys, &policy(), &seen, Timestamp(now))
        };
        let alone = [key(1, active_since(0))];
        assert_eq!(
            rotate(&alone, &[], 10),
            [Step::Stage(Version(2)), Step::Expedite(Version(2))]
        );
        let unseen = [key(1, active_since(0)), key(2, staged_at(None))];
        assert_eq!(rotate(&unseen, &[], 20), [Step::Expedite(Version(2))]);
        assert_eq!(
            rotate(&unseen, &["kid-2"], 20),
            [Step::MarkSeen(Version(2)), Step::Expedite(Version(2))]
        );
        let mut keys = [key(1, active_since(0)), key(2, staged_at(Some(10)))];
        assert_eq!(rotate(&keys, &["kid-2"], 20), [Step::Expedite(Version(2))]);
        keys[1].expedited = true;
        assert_eq!(rotate(&keys, &["kid-2"], 20), []);
        let takeover = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
        assert_eq!(rotate(&keys, &["kid-2"], 10 + DAY), takeover);
        let seen = ["kid-2".to_owned()];
        let scheduled = plan(&keys, &policy(), &seen, Timestamp(10 + DAY));
        assert_eq!(scheduled, takeover);
    }

    #[test]
    fn an_emergency_replaces_the_signer_by_a_fresh_key_not_by_the_staged_one() {
        let keys = [
            key(1, retiring_since(0)),
            key(2, active_since(0)),
            key(3, staged_at(Some(0))),
        ];
        let all = [
            Step::Revoke(Version(2)),
            Step::Revoke(Version(3)),
            Step::Stage(Version(4)),
            Step::Activate(Version(4)),
        ];
        assert_eq!(plan_emergency(&keys, None), all);
        assert_eq!(plan_emergency(&keys, Some(Version(2))), all);
        assert_eq!(
            plan_emergency(&keys, Some(Version(1))),
            [Step::Revoke(Version(1))]
        );
        assert_eq!(
            plan_emergency(&keys, Some(Version(3))),
            [Step::Revoke(Version(3))]
        );
    }

    #[test]
    fn trim_removes_what_is_safe_and_expedites_the_rest() {
        let mut keys = [
            key(1, retiring_since(0)),
            key(2, retiring_since(0)),
            key(3, active_since(0)),
        ];
        keys[1].tokens_until = Timestamp(DAY);
        let trim = |keys: &[KeyVersion], force| plan_trim(keys, &policy(), force, Timestamp(HOUR));
        assert_eq!(
            trim(&keys, false),
            [Step::Retire(Version(1)), Step::Expedite(Version(2))]
        );
        assert_eq!(
            trim(&keys, true),
            [Step::Retire(Version(1)), Step::Retire(Version(2))]
        );
    }
}
