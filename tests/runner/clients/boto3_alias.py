"""boto3 with the shared config file of one alias, as the AWS provider takes it from the object variable."""

import json
import os
import sys

credentials = json.loads(os.environ["TF_VAR_tfc_aws_dynamic_credentials"])
alias = credentials["default"] if sys.argv[1] == "default" else credentials["aliases"][sys.argv[1]]
os.environ["AWS_CONFIG_FILE"] = alias["shared_config_file"]
# These come before any file, and are the default configuration's.
for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME"):
    os.environ.pop(name, None)

import boto3  # noqa: E402 (it reads the environment when it is imported)

print(boto3.Session().client("sts").get_caller_identity()["Arn"])
