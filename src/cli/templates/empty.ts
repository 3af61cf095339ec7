import type { Template } from "./template.ts";

/** A project with a vault and nothing in it. */
export function emptyTemplate(): Template {
  return {
    sections: `
# What is sealed. A dataset has column groups, and each group a KEK of its own, such as:
#   patients:
#     source: data/patients.parquet
#     store: sealed/patients
#     groups:
#       - { name: rest, kek: patients-ordinary }
#       - { name: sensitive, kek: patients-sensitive, columns: [diagnosis] }
datasets: {}

# Who gets which keys, such as:
#   research: { file: policies/research.json }
policies: {}

# What may run, such as:
#   counts:
#     engine: sql
#     code: queries/counts.sql
#     policy: research
#     purpose: yearly counts
#     inputs: { patients: { dataset: patients, columns: [year] } }
#     output: counts
jobs: {}
`,
    files: {},
    copies: {},
    keks: [],
    next: ["ppml key create NAME", "describe your data in ppml.yaml", "ppml data seal"],
  };
}
