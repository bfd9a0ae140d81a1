//! What the API server makes of tokens, as a table.
