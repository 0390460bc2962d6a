# One CycloneDX document of the host's (the first, by architecture) and of its plugins', and of what no manifest names.
def library($name; $version; $license):
    {type: "library", "bom-ref": "\($name)@\($version)", name: $name, version: $version, licenses: [{expression: $license}], scope: "required"};

(.[0].metadata.component["bom-ref"]) as $host
| [.[].metadata.component | select(.["bom-ref"] != $host) | del(.components)] as $plugins
| [
    library("libbpf"; $libbpf; "LGPL-2.1-only OR BSD-2-Clause"),
    library("elfutils"; $elfutils; "GPL-2.0-or-later OR LGPL-3.0-or-later"),
    library("zlib"; $zlib; "Zlib"),
    library("glibc"; $glibc; "LGPL-2.1-or-later"),
    library("rust-std"; $rust; "MIT OR Apache-2.0")
  ] as $linked
| .[0] as $first
| ([.[].components[]] + $plugins + $linked | unique_by(.["bom-ref"])) as $components
| ([.[].dependencies[] ] | group_by(.ref)
    | map({ref: .[0].ref, dependsOn: ([.[].dependsOn // [] | .[]] | unique)})
    | map(if .ref == $host then .dependsOn += [($plugins + $linked)[]["bom-ref"]] | .dependsOn |= unique else . end)) as $dependencies
| $first
| del(.serialNumber, .metadata.properties)
| .metadata.timestamp = $time
| .components = $components
| .dependencies = $dependencies
| walk(if type == "string" then split($folder) | join("/host") else . end)
