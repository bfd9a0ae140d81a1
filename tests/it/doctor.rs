//! `runmint doctor`: what it makes of what it is given.

mod errors;
mod pages;
