//! Users and groups of this machine, by name or by number.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// Why a text names no user or group.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// The machine knows no such user.
    #[error("there is no user `{0}` on this machine")]
    NoUser(String),
    /// The machine knows no such group.
    #[error("there is no group `{0}` on this machine")]
    NoGroup(String),
    /// The machine cannot say.
    #[error("users and groups cannot be looked up: {0}")]
    Lookup(#[from] Errno),
}

impl AccountError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoUser(_) => "give its number (uid): `id -u` prints it where the user is known",
            Self::NoGroup(_) => "give its number (gid): `id -G` prints those of a user",
            Self::Lookup(_) => "give numbers: a uid, a gid",
        };
        Some(hint.to_owned())
    }
}

/// The uid that `text` names. Digits are a number, whether or not the machine knows it: the reader
/// may live in a container that has users of its own.
///
/// # Errors
/// [`AccountError`], for a name that the machine does not know.
pub fn uid(text: &str) -> Result<u32, AccountError> {
    if let Some(number) = number(text) {
        return Ok(number);
    }
    let user = User::from_name(text)?;
    user.map(|user| user.uid.as_raw())
        .ok_or_else(|| AccountError::NoUser(text.to_owned()))
}

/// The gid that `text` names; digits are a number, as with [`uid`].
///
/// # Errors
/// [`AccountError`], for a name that the machine does not know.
pub fn gid(text: &str) -> Result<u32, AccountError> {
    if let Some(number) = number(text) {
        return Ok(number);
    }
    let group = Group::from_name(text)?;
    group
        .map(|group| group.gid.as_raw())
        .ok_or_else(|| AccountError::NoGroup(text.to_owned()))
}

/// The groups of a user, the primary one first, as a login would get them. None for a uid that the
/// machine does not know.
///
/// # Errors
/// [`AccountError::Lookup`].
pub fn groups_of(uid: u32) -> Result<Vec<u32>, AccountError> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else {
        return Ok(Vec::new());
    };
    let name = CString::new(user.name).map_err(|_| Errno::EINVAL)?;
    let mut gids = vec![user.gid.as_raw()];
    for gid in getgrouplist(&name, user.gid)? {
        if !gids.contains(&gid.as_raw()) {
            gids.push(gid.as_raw());
        }
    }
    Ok(gids)
}

/// The name and the home of a user; its number, and the root of the file system, for one that the
/// machine does not know.
pub fn login_of(uid: u32) -> (String, String) {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(
        || (uid.to_string(), "/".to_owned()),
        |user| (user.name, user.dir.display().to_string()),
    )
}

/// A user as people know it: by its name, or by its number if it has none here.
pub fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group as people know it: by its name, or by its number if it has none here.
pub fn group_name(gid: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// The highest number is none: `chown` takes it for "leave it as it is".
fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_digits.then(|| text.parse().ok()).flatten();
    number.filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_told_apart() {
        assert_eq!(uid("root"), Ok(0));
        assert_eq!(uid("12345"), Ok(12_345));
        assert_eq!(gid("12345"), Ok(12_345));
        for text in ["", "no such", "+1", "-1", "4294967295", "4294967296"] {
            assert_eq!(uid(text), Err(AccountError::NoUser(text.to_owned())));
            assert_eq!(gid(text), Err(AccountError::NoGroup(text.to_owned())));
        }
    }

    #[test]
    fn a_user_that_the_machine_does_not_know_has_no_groups_and_no_name() {
        let nobody_here = 4_000_000_000;
        assert_eq!(groups_of(nobody_here), Ok(Vec::new()));
        assert_eq!(user_name(nobody_here), "4000000000");
        assert_eq!(group_name(nobody_here), "4000000000");
        assert_eq!(groups_of(0).unwrap().first(), Some(&0));
        assert_eq!(user_name(0), "root");
    }
}
