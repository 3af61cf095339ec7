import assert from "node:assert/strict";
import { test } from "node:test";
import { withKeyNames } from "../../../src/cli/azure/key-names.ts";
import { azureSectionSchema } from "../../../src/provision/index.ts";

const SECTION = azureSectionSchema.parse({
  subscription: "00000000-0000-4000-8000-000000000001",
  tenant: "00000000-0000-4000-8000-000000000002",
  region: "eastus2",
  resourceGroup: "rg",
  keyVault: { name: "ppmlkv", keks: { flights: { use: "unwrap-only" } } },
  identities: {
    broker: { role: "broker", namespace: "ppml", serviceAccount: "broker", keks: ["flights"] },
  },
});

test("T277: a template makes a simulation's KEKs under a simulation's names, roles included", () => {
  const { keyVault, identities } = withKeyNames(SECTION, "simulation");
  assert.deepEqual(Object.keys(keyVault?.keks ?? {}), ["sim-flights"]);
  assert.deepEqual(identities["broker"]?.keks, ["sim-flights"]);
  const production = withKeyNames(SECTION, "production");
  assert.deepEqual(Object.keys(production.keyVault?.keks ?? {}), ["flights"]);
  assert.throws(() => withKeyNames(withKeyNames(SECTION, "simulation"), "production"), {
    code: "key.not_permitted",
  });
});
