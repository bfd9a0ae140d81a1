//! The program as a process: killed, stopped, cut off from its database, started several times.

mod cluster;
mod limits;
mod load;
mod outage;
mod refusals;
mod replicas;
