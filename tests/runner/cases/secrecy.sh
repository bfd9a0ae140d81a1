# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# What others on the machine, and readers of a log, get to see: nothing.

part_secrecy() {
    local net=(
        TFC_AWS_PROVIDER_AUTH=true TFC_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/net
        TFC_VAULT_PROVIDER_AUTH=true TFC_VAULT_ADDR="$TEST_VAULT" TFC_VAULT_NAMESPACE=acme
        TFC_VAULT_RUN_ROLE=net TFC_VAULT_ENCODED_CACERT="$(base64 -w 0 "$TEST_CA")"
        TFC_WORKLOAD_IDENTITY_AUDIENCE=somebody.else
    )
    try "secrecy: the process list shows no token" \
        under "${net[@]}" -- "$python" "$clients/process_list.py"
    try "secrecy: a token printed in two writes is masked" masked_output
    try "secrecy: nothing is left in the run's folder" is_empty "$folder/exec"

    try "secrecy: a run that is closed at the end" under "${net[@]}" --close -- true
    refuses "secrecy: gets no more tokens" "closed" "$runmint" token --audience aws.workload.identity
    open_run plan
}

masked_output() {
    under "${net[@]}" --redact -- "$python" "$clients/print_token.py" >"$folder/masked"
    # A mask is short, half a token is not.
    grep -qE '^before .{1,30} after$' "$folder/masked"
}
