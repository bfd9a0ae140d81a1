//! `runmint doctor …`: the real program against real servers.

mod environment;
mod explain;
