//! AWS: the IAM provider and the trust policy of a role.
