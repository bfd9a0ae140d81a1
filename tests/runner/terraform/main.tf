# Built-in parts only: there is no registry to get a provider from. The variable is declared as HCP
# Terraform's documentation says.

variable "tfc_aws_dynamic_credentials" {
  description = "The AWS configurations of the run."
  type = object({
    default = object({
      shared_config_file = string
    })
    aliases = map(object({
      shared_config_file = string
    }))
  })
}

resource "terraform_data" "applied" {
  # Keeps the token of the phase that applies, for the test to look at.
  provisioner "local-exec" {
    command = "cp \"$AWS_WEB_IDENTITY_TOKEN_FILE\" apply.token"
  }
}

output "config_file" {
  value = var.tfc_aws_dynamic_credentials.default.shared_config_file
}

output "config_file_of_alias" {
  value = var.tfc_aws_dynamic_credentials.aliases["TWO"].shared_config_file
}
