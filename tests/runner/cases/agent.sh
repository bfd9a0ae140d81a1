# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# `runmint agent`: the clouds' libraries in another process, which has never seen the run's own token.

part_agent() {
    local shared="$folder/agent" as=arn:aws:sts::123456789012:assumed-role
    env TFC_AWS_PROVIDER_AUTH=true TFC_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/net \
        TFC_AZURE_PROVIDER_AUTH=true TFC_AZURE_RUN_CLIENT_ID=aaaaaaaa-0000-0000-0000-000000000001 \
        "$runmint" agent --dir "$shared" --listen 127.0.0.1:0 --token somebody.else=extra-token \
        >"$folder/agent.log" 2>&1 &
    local pid=$!
    at_exit "kill $pid 2>/dev/null"
    await "the agent" test -e "$shared/ready"

    # shellcheck disable=SC2016 # the inner shell's
    local beside=(
        env -u RUNMINT_REQUEST_URL -u RUNMINT_REQUEST_TOKEN
        sh -c '. "$1/environment" && shift && exec "$@"' sh "$shared"
    )
    is "agent: boto3 with its files, and with renewed ones" "$as/net/terraform-run-CKuwsxMGgMd3W7Ui" \
        "${beside[@]}" "$python" "$clients/boto3_identity.py" --renewed
    is "agent: azurerm's requests" "a token" \
        "${beside[@]}" env "${by_name[@]}" ARM_TENANT_ID=11111111-2222-3333-4444-555555555555 \
        "$python" "$clients/azurerm_assertion.py"
    try "agent: \`runmint token\` asks it like a server" \
        "${beside[@]}" "$runmint" token --audience aws.workload.identity
    refuses "agent: it passes on what the server says" "nobody.allowed.this" \
        "${beside[@]}" "$runmint" token --audience nobody.allowed.this
    try "agent: a token for somebody else, by its own name" test -s "$shared/extra-token"
    try "agent: the run's request token is not in its folder" never_in "$shared" "$RUNMINT_REQUEST_TOKEN"

    kill "$pid"
    status=0
    wait "$pid" || status=$?
    try "agent: it ends well" [ "$status" -eq 0 ]
    try "agent: its files are gone" is_empty "$shared"
}

never_in() { ! grep -rqF -e "$2" "$1"; }
