//! What a cluster makes of tokens and roles, as a table.
