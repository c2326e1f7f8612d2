# The Istio objects of one directory, written again whenever a file in it changes. No provider is needed.
variable "manifests" {
  type    = string
  default = "mesh"
}

resource "terraform_data" "mesh" {
  triggers_replace = [for file in sort(fileset(var.manifests, "*.yaml")) : filesha256("${var.manifests}/${file}")]

  provisioner "local-exec" {
    command = "safeapply apply --filename '${var.manifests}' --yes"
  }
}
