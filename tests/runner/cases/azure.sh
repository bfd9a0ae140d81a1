# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# Azure: azure-identity, and what azurerm asks by itself.

part_azure() {
    local net=(
        "${by_name[@]}" ARM_TENANT_ID=11111111-2222-3333-4444-555555555555 TFC_AZURE_PROVIDER_AUTH=true
        TFC_AZURE_RUN_CLIENT_ID=aaaaaaaa-0000-0000-0000-000000000001
    )
    local identity=("$python" "$clients/azure_token.py")

    is "azure: WorkloadIdentityCredential" "a token" under "${net[@]}" -- "${identity[@]}"
    is "azure: the renewed file" "a token" under "${net[@]}" -- "${identity[@]}" --renewed
    is "azure: as azurerm asks by the request URL, twice" "a token" \
        under "${net[@]}" -- "$python" "$clients/azurerm_assertion.py"

    refuses "azure: a client that trusts another workspace" "AADSTS700213" \
        under "${net[@]}" TFC_AZURE_RUN_CLIENT_ID=aaaaaaaa-0000-0000-0000-000000000002 -- "${identity[@]}"
    refuses "azure: a token for somebody else" "AADSTS700212" \
        under "${net[@]}" TFC_AZURE_WORKLOAD_IDENTITY_AUDIENCE=somebody.else -- "${identity[@]}"
}
