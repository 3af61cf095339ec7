import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadRoots, maaProvidersOf, rootsText } from "../../src/cli/pinned-roots.ts";
import { ISSUER, jwkOf, POLICY_HASH, providerKey } from "../attest/maa-fixture.ts";
import { newSigningKey } from "../broker/fixture.ts";
import { temporaryFolder } from "./ppml.ts";

const { publicJwk } = newSigningKey();
const roots = {
  v: 1,
  mode: "production",
  owner: publicJwk,
  releaseRoot: publicJwk,
  logKey: publicJwk,
  simulationRoot: null,
} as const;
const keys = [jwkOf(providerKey.publicKey)];

test("roots.json without providers pins none", async (context) => {
  const path = join(temporaryFolder(context), "roots.json");
  writeFileSync(path, rootsText(roots));
  assert.deepEqual(maaProvidersOf(await loadRoots(path)), []);
});

test("roots.json pins providers of MAA with their policies and keys", async (context) => {
  const path = join(temporaryFolder(context), "roots.json");
  const shared = "https://sharedweu.weu.attest.azure.net";
  const maaProviders = [
    { issuer: ISSUER, policy: [POLICY_HASH], jwks: { keys } },
    { issuer: shared, policy: "shared-provider", jwks: { keys } },
  ];
  writeFileSync(path, JSON.stringify({ ...roots, maaProviders }));
  const [first, second] = maaProvidersOf(await loadRoots(path));
  assert.deepEqual(first?.policy, { hashes: [POLICY_HASH] });
  assert.equal(first?.jwks.keys[0]?.kid, keys[0]?.["kid"]);
  assert.equal(second?.policy, "shared-provider");
});

test("a provider of another form in roots.json is refused", async (context) => {
  const path = join(temporaryFolder(context), "roots.json");
  const good = { issuer: ISSUER, policy: [POLICY_HASH], jwks: { keys } };
  for (const wrong of [
    { ...good, issuer: "https://evil.example" },
    { ...good, policy: "any" },
    { ...good, policy: [] },
    { ...good, jwks: undefined },
    { ...good, more: 1 },
  ]) {
    writeFileSync(path, JSON.stringify({ ...roots, maaProviders: [wrong] }));
    await assert.rejects(loadRoots(path), { code: "config.invalid", message: /maaProviders/ });
  }
  writeFileSync(
    path,
    JSON.stringify({ ...roots, maaProviders: [{ ...good, jwks: { keys: [1] } }] }),
  );
  const loaded = await loadRoots(path);
  assert.throws(() => maaProvidersOf(loaded), { code: "attest.invalid" });
});
