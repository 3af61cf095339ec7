import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { parsedPolicy } from "../attest/appraise/open-policy.ts";
import { newSigningKey } from "../broker/fixture.ts";
import { FULL, RELEASE_POLICY, SSH_KEY } from "../provision/azure/sections.ts";

const OWNER = newSigningKey();

/** Writes a project with the section `azure` of the tests, `change` put over it. */
export function writeAzureProject(root: string, change: object = {}): void {
  for (const folder of ["keys", "policies"]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "keys/client.pub"), `${SSH_KEY}\n`);
  writeFileSync(join(root, "policies/analysis.json"), JSON.stringify(policyOf(RELEASE_POLICY)));
  const project = {
    version: 1,
    name: "demo",
    mode: "production",
    vault: { kind: "embedded", path: ".ppml/vault.db", rootKeyFile: ".ppml/root.key" },
    broker: { state: ".ppml/broker" },
    owner: { key: ".ppml/owner.key" },
    datasets: {},
    policies: { analysis: { file: "policies/analysis.json" } },
    jobs: {},
    azure: { ...FULL, vm: { sshPublicKeyFile: "keys/client.pub" }, ...change },
  };
  writeFileSync(join(root, "ppml.yaml"), stringify(project));
}

/** A policy's file with that release member. */
export function policyOf(release: unknown): object {
  return {
    v: 1,
    name: "analysis",
    appraisal: parsedPolicy("snp", { hostData: { equals: "00".repeat(32) } }),
    release,
    jobs: {
      signers: [OWNER.publicJwk],
      codeDigests: ["ab".repeat(32)],
      purposes: ["a test"],
      outputKeks: [OWNER.keyId],
    },
    resources: [],
    grants: [],
    ownerOpen: [],
  };
}
