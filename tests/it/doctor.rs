//! `runmint doctor`: the real program, given what people have at hand, against real servers.

mod environment;
mod errors;
mod explain;
mod issuer;
mod pages;
mod site;
mod stories;
mod thumbprint;
mod token;
