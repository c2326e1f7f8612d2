# The Istio objects of one directory, written again whenever a file in it changes. No provider is needed. Nothing is
# deleted: a provisioner for that would run at each change, before the files are written, as every change replaces the
# resource. `safeapply delete --filename mesh` does it, and pruning takes what left the directory (see --prune).
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
