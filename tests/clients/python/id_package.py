"""The Python package `id`, as signing and publishing tools use it on GitHub Actions, unchanged.

    id_package.py CASE.json    with the request URL and token in GitHub's environment variables
"""

import json
import sys
from pathlib import Path

import id as identity

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from verify import RelyingParty, check, check_expected


def main():
    case = json.loads(Path(sys.argv[1]).read_text())

    token = identity.detect_credential(case["audience"])
    check(token is not None, "`id` found no credential in the environment")
    header, claims = RelyingParty(case["issuer"], case["audience"]).verify(token)
    check_expected(header, claims, case)

    try:
        identity.detect_credential(case["refused_audience"])
    except identity.AmbientCredentialError as error:
        check("403" in str(error), f"the error does not tell the status: {error}")
    else:
        check(False, "an audience that is not allowed was given a token")


if __name__ == "__main__":
    main()
