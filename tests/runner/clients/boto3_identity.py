"""boto3 by its default chain: whoever it is. With `--renewed`, once more with a renewed token.

The credentials of the test's STS end within a minute, so boto3 fetches others for each call.
"""

import os
import sys

import boto3
from party import used_again_after_renewal

sts = boto3.Session().client("sts")
print(sts.get_caller_identity()["Arn"])
if "--renewed" in sys.argv:
    token_file = os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
    used_again_after_renewal(sts.get_caller_identity, token_file, "sts", "AssumeRoleWithWebIdentity")
