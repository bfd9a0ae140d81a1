"""Who is trusted with what: what the relying parties have been told about the workspace of the tests."""

# `role/net` and its like trust this workspace in both phases, the `…-plan` ones in one of them, and
# `other` ones trust a workspace that no test runs in.
WORKSPACE = "organization:acme:project:Default Project:workspace:net-1"
OTHER_WORKSPACE = "organization:acme:project:Default Project:workspace:net-2"


def trusted_subjects(workspace, phase="*"):
    """A pattern for subjects, as `StringLike` of AWS and `glob` of Vault read it."""
    return f"{workspace}:run_phase:{phase}"
