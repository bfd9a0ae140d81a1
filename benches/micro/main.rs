//! What the parts cost that no network and no database slows down. The numbers depend on the machine, so
//! nothing is asserted but that each does its work.
//!
//!     cargo bench --bench micro              all
//!     cargo bench --bench micro -- grants    those of one file
//!
//! Clippy takes only `#[cfg(test)]` modules for tests, hence the attribute on each.

#[cfg(test)]
mod errors;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod mapping;
#[cfg(test)]
mod mint;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sign;

// As runmint's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}
