import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import type { MaaDemands } from "../../../src/attest/verify/maa-check.ts";
import { maaSigningKey, parseMaaJwks } from "../../../src/attest/verify/maa-jwks.ts";
import { readMaaTee } from "../../../src/attest/verify/maa-claims.ts";
import { verifyMaaToken } from "../../../src/attest/verify/maa-token.ts";
import { parseCompactJws } from "../../../src/attest/token/compact-jws.ts";
import { sharedPath, skipWithout } from "../../shared-data.ts";
import type { Json } from "../maa-fixture.ts";

const folder = sharedPath("vectors", "attestation", "maa");
const skip = skipWithout(folder);
const bytesOf = (name: string): Uint8Array => readFileSync(join(folder ?? "", name));
const textOf = (name: string): string => Buffer.from(bytesOf(name)).toString("utf8");

/** Times of the vector: nbf 1643413476, exp 1643442276. */
const VERIFY_AT_MS = 1_643_420_000_000;
const SHARED = "https://sharedwus.wus.attest.azure.net";

function sgxDemands(changes: Partial<MaaDemands> = {}): MaaDemands {
  return {
    providers: [
      {
        issuer: SHARED,
        jwks: parseMaaJwks(bytesOf("maa-sgx-sharedwus-2022.jwks.json")),
        policy: "shared-provider",
      },
    ],
    runtimeData: { kind: "binary", bytes: bytesOf("maa-sgx-sharedwus-2022.runtime-data.bin") },
    nonce: "in-runtime-data",
    maxAgeSeconds: 8 * 3600,
    nowMs: VERIFY_AT_MS,
    ...changes,
  };
}

test("the real SGX token of Azure's shared provider verifies at its time", { skip }, async () => {
  const token = textOf("maa-sgx-sharedwus-2022.jwt");
  const { evidence, profile, simulated } = await verifyMaaToken(token, sgxDemands());
  assert.deepEqual({ profile, simulated }, { profile: "sgx", simulated: false });
  assert.equal(evidence.policyHash, "bROrN897ZfWmWY2V0FLUlu3uwk5xatGnKYHn3zBbSlw");
  assert.ok(evidence.tee.attestationType === "sgx");
  assert.equal(
    toHex(evidence.tee.mrEnclave),
    "b779202618becb636768e5d902f28d524222735fafb539ea9ba07c3fc171a1c2",
  );
  assert.equal(evidence.tee.productId, 1);
  assert.equal(evidence.tee.debuggable, false);
});

test(
  "the real SGX token is refused before, after, too old, unbound, unpinned or changed",
  { skip },
  async () => {
    const token = textOf("maa-sgx-sharedwus-2022.jwt");
    const refuses = (changes: Partial<MaaDemands>, message: RegExp, text = token): Promise<void> =>
      assert.rejects(verifyMaaToken(text, sgxDemands(changes)), {
        code: "attest.not_verified",
        message,
      });
    await refuses({ nowMs: 1_643_413_476_000 - 61_000 }, /of the future/);
    await refuses({ nowMs: 1_643_442_276_000 + 60_000 }, /past its exp, 2022-01-29T07:44:36Z/);
    await refuses({ maxAgeSeconds: 6000 }, /6524 seconds old/);
    await refuses({ runtimeData: { kind: "binary", bytes: new Uint8Array(286) } }, /report data/);
    const [provider] = sgxDemands().providers;
    assert.ok(provider);
    await refuses({ providers: [{ ...provider, policy: { hashes: [] } }] }, /is not pinned/);
    await refuses({ providers: [{ ...provider, issuer: `${SHARED}/` }] }, /expected a token of/);
    await refuses({ providers: [{ ...provider, jwks: { keys: [] } }] }, /has no key/);
    const [head = "", body = "", signature = ""] = token.split(".");
    await refuses({}, /not signed by/, `${head}.${body}.${signature.replace(/^./, "_")}`);
  },
);

test(
  "the real SEV-SNP token parses, and is refused without its provider's keys",
  { skip },
  async () => {
    const token = textOf("maa-sevsnpvm-test-weu-2025.jwt");
    const { payload } = parseCompactJws(token, "the vector");
    const tee = readMaaTee("sevsnpvm", payload);
    assert.ok(tee.attestationType === "sevsnpvm");
    assert.equal(
      toHex(tee.hostData),
      "73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20",
    );
    assert.deepEqual(tee.tcb, { bootloader: 3, tee: 0, snp: 8, microcode: 115 });
    assert.equal(payload["iat"], 1_744_085_700);
    assert.equal(payload["exp"], 1_744_114_500);
    const issuer = "https://sharedweu.weu.test.attest.azure.net";
    const [provider] = sgxDemands().providers;
    assert.ok(provider);
    for (const jwks of [{ keys: [] }, provider.jwks])
      await assert.rejects(
        verifyMaaToken(
          token,
          sgxDemands({ nowMs: 1_744_090_000_000, providers: [{ ...provider, issuer, jwks }] }),
        ),
        { code: "attest.not_verified", message: /the provider has no key "jNolL7/ },
      );
  },
);

test(
  "the real claims of an Azure VM's guest token are read, with the TEE below it",
  { skip },
  () => {
    const claims = JSON.parse(textOf("maa-azurevm-cvm-claims-2022.json")) as Json;
    const tee = readMaaTee("azurevm", claims);
    assert.ok(tee.attestationType === "azurevm");
    assert.equal(tee.secureBoot, true);
    assert.equal(tee.kernelDebug, false);
    assert.deepEqual(tee.attestedPcrs, [0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13]);
    assert.ok(tee.isolationTee.attestationType === "sevsnpvm");
    assert.equal(tee.isolationTee.complianceStatus, "azure-compliant-cvm");
    assert.equal(tee.isolationTee.tcb.microcode, 55);
    assert.ok(tee.isolationRuntime !== null && "keys" in tee.isolationRuntime);
  },
);

test(
  "a real answer of /certs parses; its keys are found at their time, and the 1024-bit one refused",
  { skip },
  () => {
    const jwks = parseMaaJwks(bytesOf("maa-certs-gnkuks001-2020.json"));
    assert.equal(jwks.keys.length, 5);
    const find = (keyId: string, nowMs: number) => () =>
      maaSigningKey({ jwks, keyId, simulated: false, nowMs });
    const atTime = Date.UTC(2020, 5, 1);
    const strong = jwks.keys.filter(({ x5c }) => x5c?.length === 3);
    assert.equal(strong.length, 4);
    for (const { kid } of strong) {
      assert.equal(find(kid, atTime)().asymmetricKeyDetails?.modulusLength, 2048);
      assert.throws(find(kid, Date.UTC(2026, 10, 24)), { message: /not valid at this time/ });
    }
    assert.throws(find("KQFAHrk1xALKHBD4b4u7TCvCJ1Mw0MlYZe+rxdePOtg=", atTime), {
      code: "attest.not_verified",
      message: /of 2048 to 8192 bits of RSA, got 1024/,
    });
  },
);
