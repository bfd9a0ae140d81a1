//! How much may be under way at once, and how much of it one address may hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::Address;

/// A number of places. One address gets at most half of them, so that a single slow or hostile caller
/// leaves room for all others.
#[derive(Debug)]
pub struct Shares {
    places: usize,
    taken: Mutex<Taken>,
}

/// No larger than what is under way: an address that holds nothing is not in it.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Address, usize>,
}

/// A place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Shares>,
    address: Option<Address>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Full {
    /// All are taken.
    All,
    /// This address holds its half.
    Half,
}

impl Shares {
    /// So many places.
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places,
            taken: Mutex::default(),
        })
    }

    /// Takes a place for an address; `None` for a proxy, behind which there are many.
    ///
    /// # Errors
    /// As [`Full`] says.
    pub fn take(self: &Arc<Self>, address: Option<Address>) -> Result<Share, Full> {
        let mut taken = self.taken();
        if taken.all >= self.places {
            return Err(Full::All);
        }
        if let Some(address) = address {
            let own = taken.by_address.entry(address).or_insert(0);
            if *own >= self.places.div_ceil(2) {
                return Err(Full::Half);
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Share {
            of: Arc::clone(self),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all -= 1;
        let Some(address) = self.address else {
            return;
        };
        if let Some(own) = taken.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn one_address_gets_half_and_others_the_rest() {
        let shares = Shares::new(5);
        let [one, two, three] =
            [1, 2, 3].map(|last| Some(Address::from(IpAddr::from([10, 0, 0, last]))));
        let mut held: Vec<_> = (0..3).map(|_| shares.take(one).unwrap()).collect();
        assert_eq!(shares.take(one).unwrap_err(), Full::Half);
        held.extend((0..2).map(|_| shares.take(two).unwrap()));
        assert_eq!(shares.take(three).unwrap_err(), Full::All);
        held.clear();
        assert_eq!(shares.taken().all, 0);
        assert!(shares.taken().by_address.is_empty());
    }

    #[test]
    fn a_proxy_may_hold_all() {
        let shares = Shares::new(4);
        let held: Vec<_> = (0..4).map(|_| shares.take(None).unwrap()).collect();
        assert_eq!(shares.take(None).unwrap_err(), Full::All);
        drop(held);
        assert!(shares.take(None).is_ok());
    }

    #[test]
    fn a_single_place_can_be_had() {
        let shares = Shares::new(1);
        assert!(shares.take(Some(Address::NONE)).is_ok());
    }
}
