# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# Terraform's own program: plan and apply are runs of `exec` of their own, with tokens of their own.

part_terraform() {
    if ! have terraform; then
        echo "        terraform is not on this machine: passed over"
        return
    fi
    export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0
    local work="$folder/terraform"
    mkdir "$work"
    cp "$here/terraform/main.tf" "$work"
    terraform -chdir="$work" init -input=false >/dev/null
    local role=arn:aws:iam::123456789012:role
    local two=(
        TFC_AWS_PROVIDER_AUTH=true TFC_AWS_PLAN_ROLE_ARN="$role/net-plan" TFC_AWS_APPLY_ROLE_ARN="$role/net-apply"
        TFC_AWS_PROVIDER_AUTH_TWO=true TFC_AWS_RUN_ROLE_ARN_TWO="$role/net"
    )

    # No `--dir`: the plan keeps the paths that it has seen, so both phases must get the same.
    # shellcheck disable=SC2016 # the inner shell's
    ends_with "terraform: a plan with changes has status 2" 2 env "${two[@]}" "$runmint" exec -- \
        sh -c 'cp "$AWS_WEB_IDENTITY_TOKEN_FILE" "$1/plan.token" && terraform -chdir="$1" plan -detailed-exitcode -out run.plan' \
        sh "$work"
    open_run apply
    ends_with "terraform: the plan is applied" 0 \
        env "${two[@]}" "$runmint" exec -- terraform -chdir="$work" apply run.plan
    try "terraform: plan and apply had tokens of their own" tokens_of_both_phases "$work"
    try "terraform: both were told of the same files" paths_in_outputs "$work"
    ends_with "terraform: nothing is left to change" 0 \
        env "${two[@]}" "$runmint" exec -- terraform -chdir="$work" plan -detailed-exitcode
    open_run plan

    # Where variables of the environment do not reach terraform, the file does.
    # shellcheck disable=SC2016 # the inner shell's
    ends_with "terraform: the object variables come by file as well" 0 \
        env "${two[@]}" "$runmint" exec --auto-tfvars "$work" -- \
        sh -c 'unset TF_VAR_tfc_aws_dynamic_credentials; exec terraform -chdir="$1" plan -detailed-exitcode' \
        sh "$work"
    try "terraform: and that file is gone afterwards" none_of "$work"/*.auto.tfvars.json
}

# One run, two phases, two tokens.
tokens_of_both_phases() {
    "$python" - "$1/plan.token" "$1/apply.token" <<'PYTHON'
import sys

import jwt

plan, apply = (
    jwt.decode(open(file).read(), options={"verify_signature": False}) for file in sys.argv[1:]
)
assert plan["sub"].endswith(":run_phase:plan"), plan["sub"]
assert apply["sub"].endswith(":run_phase:apply"), apply["sub"]
assert plan["jti"] != apply["jti"]
assert plan["terraform_run_id"] == apply["terraform_run_id"]
PYTHON
}

paths_in_outputs() {
    local default alias
    default="$(terraform -chdir="$1" output -raw config_file)"
    alias="$(terraform -chdir="$1" output -raw config_file_of_alias)"
    [[ "$default" = */tfc-aws-shared-config && "$alias" = */tfc-aws-shared-config_TWO ]]
}

none_of() { [ ! -e "$1" ]; }
