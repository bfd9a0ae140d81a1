# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# AWS: boto3 and the AWS CLI.

part_aws() {
    local role=arn:aws:iam::123456789012:role
    local as=arn:aws:sts::123456789012:assumed-role session=terraform-run-CKuwsxMGgMd3W7Ui
    local net=(TFC_AWS_PROVIDER_AUTH=true TFC_AWS_RUN_ROLE_ARN="$role/net")
    local boto3=("$python" "$clients/boto3_identity.py")
    local cli=("$venv_bin/aws" sts get-caller-identity --query Arn --output text)

    is "aws: boto3 assumes the role" "$as/net/$session" under "${net[@]}" -- "${boto3[@]}"
    is "aws: boto3 reads the renewed file" "$as/net/$session" under "${net[@]}" -- "${boto3[@]}" --renewed
    is "aws: the AWS CLI assumes the role" "$as/net/$session" under "${net[@]}" -- "${cli[@]}"
    is "aws: the role of the phase comes before the run's" "$as/net-plan/$session" \
        under "${net[@]}" TFC_AWS_PLAN_ROLE_ARN="$role/net-plan" -- "${boto3[@]}"

    local two=("${net[@]}" TFC_AWS_PROVIDER_AUTH_TWO=true TFC_AWS_RUN_ROLE_ARN_TWO="$role/net-plan")
    is "aws: boto3 with the config file of an alias" "$as/net-plan/$session" \
        under "${two[@]}" -- "$python" "$clients/boto3_alias.py" TWO
    is "aws: boto3 with the config file of the default" "$as/net/$session" \
        under "${two[@]}" -- "$python" "$clients/boto3_alias.py" default

    cat >"$folder/aws-config" <<CONFIG
[default]
credential_process = $runmint token --audience aws.workload.identity --format aws-process --role-arn $role/net --session-name by-process
CONFIG
    is "aws: boto3 with a credential_process" "$as/net/by-process" \
        env AWS_CONFIG_FILE="$folder/aws-config" "${boto3[@]}"
    is "aws: the AWS CLI with a credential_process" "$as/net/by-process" \
        env AWS_CONFIG_FILE="$folder/aws-config" "${cli[@]}"

    refuses "aws: a role that trusts another workspace" \
        "(AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform" \
        under TFC_AWS_PROVIDER_AUTH=true TFC_AWS_RUN_ROLE_ARN="$role/other" -- "${boto3[@]}"
    refuses "aws: a token for somebody else" \
        "(InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: Incorrect token audience" \
        under "${net[@]}" TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE=somebody.else -- "${boto3[@]}"
    refuses "aws: an audience that the run was not opened for stops it" \
        "the run was not opened for \`nobody.allowed.this\`" \
        under "${net[@]}" TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE=nobody.allowed.this -- touch "$folder/was-started"
    try "aws: nothing was started then" test ! -e "$folder/was-started"
    sed -i "s|$role/net |$role/other |" "$folder/aws-config"
    refuses "aws: a credential_process whose role trusts another workspace" \
        "Not authorized to perform sts:AssumeRoleWithWebIdentity" \
        env AWS_CONFIG_FILE="$folder/aws-config" "${boto3[@]}"
}
