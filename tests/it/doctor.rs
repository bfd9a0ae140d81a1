//! `runmint doctor …`: the real program against real servers.

mod issuer;
mod site;
mod token;
