# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# Vault: its own client, hvac, and the clouds' libraries with what its secrets engines hand out.

part_vault() {
    local net=(
        TFC_VAULT_PROVIDER_AUTH=true TFC_VAULT_ADDR="$TEST_VAULT" TFC_VAULT_NAMESPACE=acme
        TFC_VAULT_RUN_ROLE=net TFC_VAULT_ENCODED_CACERT="$(base64 -w 0 "$TEST_CA")"
    )
    local lookup=("$python" "$clients/hvac_lookup.py")

    is "vault: hvac with the token of the login" "a live token" under "${net[@]}" -- "${lookup[@]}"
    is "vault: the token is renewed" "a live token" under "${net[@]}" -- "${lookup[@]}" --renewed

    # The token goes to a file, which no real run does, to be tried once the run is over.
    # shellcheck disable=SC2016 # the inner shell's
    try "vault: the token is of use to a child" \
        under "${net[@]}" -- sh -c 'printf %s "$VAULT_TOKEN" >"$1"' sh "$folder/vault-token"
    refuses "vault: it is revoked at the end" "permission denied" env VAULT_ADDR="$TEST_VAULT" \
        VAULT_NAMESPACE=acme VAULT_TOKEN="$(cat "$folder/vault-token")" "${lookup[@]}"

    local manual=(TFC_WORKLOAD_IDENTITY_AUDIENCE=vault.workload.identity TEST_VAULT_ROLE=net)
    is "vault: hvac's own login" "logged in" under "${manual[@]}" -- "$python" "$clients/hvac_login.py"

    refuses "vault: a role that trusts another workspace stops the run" \
        'claim "sub" does not match any associated bound claim values' \
        under "${net[@]}" TFC_VAULT_RUN_ROLE=other -- touch "$folder/was-started"
    refuses "vault: a token for somebody else stops the run" \
        "audience claim does not match any expected audience" \
        under "${net[@]}" TFC_VAULT_WORKLOAD_IDENTITY_AUDIENCE=somebody.else -- touch "$folder/was-started"
    try "vault: nothing was started then" test ! -e "$folder/was-started"

    vault_backed_aws
    vault_backed_google
    vault_backed_azure
    try "vault: nothing that it handed out is left" nothing_is_left
}

vault_backed_aws() {
    local boto3=("$python" "$clients/boto3_identity.py")
    local backed=(
        "${net[@]}" TFC_VAULT_BACKED_AWS_AUTH=true TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE=net
    )
    is "vault-backed aws: a user" arn:aws:iam::123456789012:user/vault-net \
        under "${backed[@]}" TFC_VAULT_BACKED_AWS_AUTH_TYPE=iam_user -- "${boto3[@]}"
    is "vault-backed aws: an assumed role" arn:aws:sts::123456789012:assumed-role/vault-net/vault \
        under "${backed[@]}" TFC_VAULT_BACKED_AWS_AUTH_TYPE=assumed_role \
        TFC_VAULT_BACKED_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/vault-net -- "${boto3[@]}"

    is "vault-backed aws: a pod's web identity is not used instead" arn:aws:iam::123456789012:user/vault-net \
        under "${backed[@]}" TFC_VAULT_BACKED_AWS_AUTH_TYPE=iam_user AWS_WEB_IDENTITY_TOKEN_FILE="$TEST_CA" \
        AWS_ROLE_ARN=arn:aws:iam::210987654321:role/pod -- "${boto3[@]}"

    under "${backed[@]}" TFC_VAULT_BACKED_AWS_AUTH_TYPE=iam_user -- \
        cp "$folder/exec/tfc-vault-backed-aws-shared-credentials" "$folder/old-credentials"
    refuses "vault-backed aws: the user is deleted at the end" InvalidClientTokenId \
        env AWS_SHARED_CREDENTIALS_FILE="$folder/old-credentials" "${boto3[@]}"
}

vault_backed_google() {
    local backed=(
        "${net[@]}" "${by_name[@]}" TFC_VAULT_BACKED_GCP_AUTH=true TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET=net
    )
    is "vault-backed google: a service account's key" net-state \
        under "${backed[@]}" TFC_VAULT_BACKED_GCP_AUTH_TYPE=roleset/service_account_key \
        -- "$python" "$clients/google_buckets.py"
    is "vault-backed google: an access token" net-state \
        under "${backed[@]}" TFC_VAULT_BACKED_GCP_AUTH_TYPE=roleset/access_token \
        -- "$python" "$clients/google_access_token.py"
}

vault_backed_azure() {
    is "vault-backed azure: an id and a secret" "a token" \
        under "${net[@]}" "${by_name[@]}" ARM_TENANT_ID=11111111-2222-3333-4444-555555555555 \
        TFC_VAULT_BACKED_AZURE_AUTH=true TFC_VAULT_BACKED_AZURE_RUN_VAULT_ROLE=net \
        -- "$python" "$clients/azure_secret.py"
}

# Every login of `exec` has been revoked, and every lease with it; hvac's own ends by itself.
nothing_is_left() {
    local state
    state="$(curl -fsS --cacert "$TEST_CA" "$TEST_VAULT/state")"
    [ "$(json_field leases <<<"$state")" = "[]" ]
}
