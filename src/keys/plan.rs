//! When do keys change? Pure: keys, policy, what a probe saw, and the time go in; steps come out.
//!
//! Every plan is made twice: before the transaction, to know whether a key must be generated, and
//! inside it, from the rows as they are there.

use crate::domain::key::{
    KeyState, KeyVersion, MAX_PUBLISHED, Policy, Step, Version, active, staged,
};
use crate::domain::time::Timestamp;

/// What the schedule does now.
///
/// `seen` are the `kid`s that a probe found at the public JWKS URL in this very turn. A staged
/// version needs to be among them twice: once to be marked, and again when it starts to sign.
pub fn plan(keys: &[KeyVersion], policy: &Policy, seen: &[String], now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let active = active(keys);
    let staged = staged(keys);

    match (active, staged) {
        // Nothing signs, so no living token can be harmed by a key that nobody has seen yet.
        (None, Some(staged)) => steps.push(Step::Activate(staged.version)),
        (None, None) => {
            let version = Version::after(keys);
            steps.extend([Step::Stage(version), Step::Activate(version)]);
        }
        (Some(active), None) => {
            if wants_successor(active, policy, now) {
                steps.push(Step::Stage(Version::after(keys)));
            }
        }
        (Some(active), Some(staged)) => {
            let visible = seen.contains(&staged.kid);
            if visible && staged.state == (KeyState::Staged { seen_at: None }) {
                steps.push(Step::MarkSeen(staged.version));
            } else if visible
                && may_sign(staged, policy, now)
                && is_due(active, staged, policy, now)
            {
                steps.extend([
                    Step::Deactivate(active.version),
                    Step::Activate(staged.version),
                ]);
            }
        }
    }
    steps.extend(retirements(keys, policy, now));
    steps
}

/// When the staged version may take over; nothing while no probe has seen it.
pub fn rotation_ready_at(keys: &[KeyVersion], policy: &Policy) -> Option<Timestamp> {
    match staged(keys)?.state {
        KeyState::Staged { seen_at } => seen_at.map(|seen_at| policy.ready_at(seen_at)),
        _ => None,
    }
}

/// When a version leaves the JWKS by the schedule; nothing unless it is retiring.
pub fn retires_at(key: &KeyVersion, policy: &Policy) -> Option<Timestamp> {
    match key.state {
        KeyState::Retiring { deactivated_at, .. } => Some(if key.expedited {
            policy.safe_to_retire_at(deactivated_at, key.tokens_until)
        } else {
            policy.retire_at(deactivated_at, key.tokens_until)
        }),
        _ => None,
    }
}

/// The next time at which the schedule changes which keys are published: caches of the JWKS should
/// not outlive it.
pub fn next_publication(keys: &[KeyVersion], policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let staging = match (active(keys), staged(keys)) {
        (Some(active), None) => active
            .state
            .activated_at()
            .map(|activated_at| policy.stage_at(activated_at)),
        _ => None,
    };
    keys.iter()
        .filter_map(|key| retires_at(key, policy))
        .chain(staging)
        .filter(|at| *at > now)
        .min()
}

/// The next time at which the schedule has something to do, besides looking for a staged key.
pub fn next_turn(keys: &[KeyVersion], policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let takeover = match (active(keys), staged(keys), rotation_ready_at(keys, policy)) {
        (Some(active), Some(staged), Some(ready_at)) if !staged.expedited => active
            .state
            .activated_at()
            .map(|activated_at| policy.due_at(activated_at).max(ready_at)),
        (_, _, ready_at) => ready_at,
    };
    next_publication(keys, policy, now)
        .into_iter()
        .chain(takeover)
        .min()
}

fn wants_successor(active: &KeyVersion, policy: &Policy, now: Timestamp) -> bool {
    active.algorithm != policy.algorithm
        || active
            .state
            .activated_at()
            .is_some_and(|activated_at| now >= policy.stage_at(activated_at))
}

pub(super) fn may_sign(staged: &KeyVersion, policy: &Policy, now: Timestamp) -> bool {
    matches!(staged.state, KeyState::Staged { seen_at: Some(seen_at) }
        if now >= policy.ready_at(seen_at))
}

fn is_due(active: &KeyVersion, staged: &KeyVersion, policy: &Policy, now: Timestamp) -> bool {
    staged.expedited
        // The configured algorithm changed: the version staged for it need not wait for the period.
        || (active.algorithm != policy.algorithm && staged.algorithm == policy.algorithm)
        || active
            .state
            .activated_at()
            .is_some_and(|activated_at| now >= policy.due_at(activated_at))
}

fn retirements(keys: &[KeyVersion], policy: &Policy, now: Timestamp) -> Vec<Step> {
    let published = keys.iter().filter(|key| key.state.is_published()).count();
    let mut surplus = published.saturating_sub(MAX_PUBLISHED);
    let mut retiring: Vec<&KeyVersion> = keys
        .iter()
        .filter(|key| matches!(key.state, KeyState::Retiring { .. }))
        .collect();
    retiring.sort_by_key(|key| key.version);

    let mut steps = Vec::new();
    for key in retiring {
        let KeyState::Retiring { deactivated_at, .. } = key.state else {
            continue;
        };
        let safe = now >= policy.safe_to_retire_at(deactivated_at, key.tokens_until);
        let asked = retires_at(key, policy).is_some_and(|at| now >= at);
        if safe && (asked || surplus > 0) {
            steps.push(Step::Retire(key.version));
            surplus = surplus.saturating_sub(1);
        }
    }
    steps
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::key::Algorithm;

    pub(in crate::keys) const HOUR: i64 = 3_600;
    pub(in crate::keys) const DAY: i64 = 24 * HOUR;

    pub(in crate::keys) fn policy() -> Policy {
        Policy {
            algorithm: Algorithm::RS256,
            period: Duration::from_hours(90 * 24),
            prepublish: Duration::from_hours(24),
            jwks_max_age: Duration::from_mins(5),
            cache_leeway: Duration::from_secs(30),
            trim_after: Duration::from_hours(30 * 24),
            check_every: Duration::from_mins(1),
        }
    }

    pub(in crate::keys) fn key(version: i64, state: KeyState) -> KeyVersion {
        KeyVersion {
            version: Version(version),
            algorithm: Algorithm::RS256,
            kid: format!("kid-{version}"),
            public_jwk: String::new(),
            sealed_private: None,
            state,
            expedited: false,
            created_at: Timestamp(0),
            tokens_until: Timestamp(0),
        }
    }

    pub(in crate::keys) fn staged_at(seen_at: Option<i64>) -> KeyState {
        KeyState::Staged {
            seen_at: seen_at.map(Timestamp),
        }
    }

    pub(in crate::keys) fn active_since(at: i64) -> KeyState {
        KeyState::Active {
            seen_at: None,
            activated_at: Timestamp(at),
        }
    }

    pub(in crate::keys) fn retiring_since(at: i64) -> KeyState {
        KeyState::Retiring {
            activated_at: Timestamp(0),
            deactivated_at: Timestamp(at),
        }
    }

    fn planned(keys: &[KeyVersion], seen: &[&str], now: i64) -> Vec<Step> {
        let seen: Vec<String> = seen.iter().map(ToString::to_string).collect();
        plan(keys, &policy(), &seen, Timestamp(now))
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let one = Version(1);
        assert_eq!(
            planned(&[], &[], 0),
            [Step::Stage(one), Step::Activate(one)]
        );
    }

    #[test]
    fn a_successor_is_staged_a_day_and_two_checks_ahead() {
        let keys = [key(1, active_since(0))];
        let stage_at = 89 * DAY - 120;
        assert_eq!(planned(&keys, &[], stage_at - 1), []);
        assert_eq!(planned(&keys, &[], stage_at), [Step::Stage(Version(2))]);
    }

    #[test]
    fn only_a_key_that_was_seen_long_enough_and_is_seen_now_takes_over() {
        let due = 90 * DAY;
        let with = |seen_at| [key(1, active_since(0)), key(2, staged_at(seen_at))];
        let takeover = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];

        assert_eq!(planned(&with(None), &[], due), []);
        assert_eq!(
            planned(&with(None), &["kid-2"], due),
            [Step::MarkSeen(Version(2))]
        );
        assert_eq!(planned(&with(Some(89 * DAY + 1)), &["kid-2"], due), []);
        assert_eq!(planned(&with(Some(89 * DAY)), &["kid-2"], due - 1), []);
        assert_eq!(planned(&with(Some(89 * DAY)), &["kid-1"], due), []);
        assert_eq!(planned(&with(Some(89 * DAY)), &["kid-2"], due), takeover);
    }

    #[test]
    fn a_wait_is_never_shorter_than_the_caches_of_others() {
        let policy = Policy {
            prepublish: Duration::from_secs(1),
            ..policy()
        };
        assert_eq!(policy.ready_at(Timestamp(0)), Timestamp(330));
    }

    #[test]
    fn the_newest_is_the_greatest_number() {
        for (older, newer) in [(9, 10), (99, 100), (999, 1000)] {
            for keys in [
                [key(older, active_since(0)), key(newer, staged_at(Some(0)))],
                [key(newer, active_since(0)), key(older, retiring_since(0))],
            ] {
                assert_eq!(Version::after(&keys), Version(newer + 1));
            }
            let keys = [key(newer, staged_at(Some(0))), key(older, active_since(0))];
            let kid = format!("kid-{newer}");
            assert_eq!(
                planned(&keys, &[&kid], 90 * DAY),
                [
                    Step::Deactivate(Version(older)),
                    Step::Activate(Version(newer))
                ]
            );
        }
    }

    #[test]
    fn a_key_stays_while_a_token_may_live() {
        let since = 100 * DAY;
        let mut old = key(1, retiring_since(since));
        let retire = [Step::Retire(Version(1))];
        let with = |old: &KeyVersion| [old.clone(), key(2, active_since(since))];

        assert_eq!(planned(&with(&old), &[], since + 30 * DAY - 1), []);
        assert_eq!(planned(&with(&old), &[], since + 30 * DAY), retire);

        old.tokens_until = Timestamp(since + 40 * DAY);
        let safe_at = since + 40 * DAY + 30 + 300 + 600;
        assert_eq!(planned(&with(&old), &[], safe_at - 1), []);
        assert_eq!(planned(&with(&old), &[], safe_at), retire);
    }

    #[test]
    fn an_expedited_key_leaves_when_its_last_token_is_dead() {
        let mut old = key(1, retiring_since(0));
        old.expedited = true;
        old.tokens_until = Timestamp(DAY);
        let keys = [old, key(2, active_since(0))];
        let safe_at = DAY + 930;
        assert_eq!(planned(&keys, &[], safe_at - 1), []);
        assert_eq!(planned(&keys, &[], safe_at), [Step::Retire(Version(1))]);
    }

    #[test]
    fn beyond_eight_published_the_oldest_safe_ones_leave() {
        let mut keys: Vec<_> = (1..=9).map(|v| key(v, retiring_since(0))).collect();
        keys.push(key(10, active_since(0)));
        keys[0].tokens_until = Timestamp(DAY);
        assert_eq!(
            planned(&keys, &[], 2 * HOUR),
            [Step::Retire(Version(2)), Step::Retire(Version(3))]
        );
    }

    #[test]
    fn another_algorithm_in_the_configuration_brings_a_new_key_once_it_is_ready() {
        let policy = Policy {
            algorithm: Algorithm::ES256,
            ..policy()
        };
        let seen = ["kid-2".to_owned()];
        let mut keys = vec![key(1, active_since(0))];
        assert_eq!(
            plan(&keys, &policy, &[], Timestamp(9)),
            [Step::Stage(Version(2))]
        );
        keys.push(key(2, staged_at(Some(9))));
        keys[1].algorithm = Algorithm::ES256;
        assert_eq!(plan(&keys, &policy, &seen, Timestamp(DAY)), []);
        assert_eq!(
            plan(&keys, &policy, &seen, Timestamp(9 + DAY)),
            [Step::Deactivate(Version(1)), Step::Activate(Version(2))]
        );
    }

    #[test]
    fn caches_end_when_the_published_keys_change() {
        let next = |keys: &[KeyVersion], now| next_publication(keys, &policy(), Timestamp(now));
        let keys = [key(1, active_since(0))];
        assert_eq!(next(&keys, 0), Some(Timestamp(89 * DAY - 120)));
        let keys = [key(1, retiring_since(0)), key(2, active_since(0))];
        assert_eq!(next(&keys, 0), Some(Timestamp(30 * DAY)));
        let keys = [key(1, active_since(0)), key(2, staged_at(None))];
        assert_eq!(next(&keys, 0), None);
    }
}
