//! `runmint doctor`: the real program, given what people have at hand, against real servers.

mod errors;
mod issuer;
mod pages;
mod site;
mod token;
