import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseKeyHsm, unwrapKeyHsm } from "../../src/format/skr/key-hsm.ts";
import type { KekRuntimeData } from "../../src/format/skr/release-key.ts";
import { createEmbeddedVault, createRootKeyFile, kekVersionOf } from "../../src/key/index.ts";
import type { EmbeddedVault, KekInfo, KekRelease } from "../../src/key/index.ts";
import { releaseKek } from "../../src/release/index.ts";
import { releasePolicyFor } from "../../src/release/policy.ts";
import { refuses } from "../key/suite.ts";
import { attested, newKekTee, NOW_MS, RELEASE_POLICY } from "./kek-fixture.ts";

const WRAPS = ["CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"] as const;

describe("release of an exportable KEK", () => {
  const folder = mkdtempSync(join(tmpdir(), "ppml-kek-"));
  const tee = newKekTee();
  let vault: EmbeddedVault;
  let kek: KekInfo;

  before(async () => {
    const root = { kind: "file", path: join(folder, "root.key") } as const;
    await createRootKeyFile({ path: root.path });
    const path = join(folder, "vault.db");
    vault = await createEmbeddedVault({ path, mode: "simulation", root, clock: () => NOW_MS });
    const releasePolicy = RELEASE_POLICY;
    kek = await vault.createKek({ name: "leaves", kind: "exportable", releasePolicy });
  });
  after(() => {
    vault[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const decide = (
    options: { runtimeData?: KekRuntimeData; measurement?: string; kek?: KekInfo } = {},
  ): KekRelease =>
    releaseKek({
      ...attested(tee.runtimeData, options.measurement),
      runtimeData: options.runtimeData ?? tee.runtimeData,
      kek: options.kek ?? kek,
      kekVersion: kek.currentVersion,
      wrap: "RSA_AES_KEY_WRAP_384",
      mode: "simulation",
    });

  test("a TEE that meets the KEK's own policy gets its private key, in each wrap", async () => {
    for (const wrap of WRAPS) {
      const decision = releaseKek({
        ...attested(tee.runtimeData),
        runtimeData: tee.runtimeData,
        kek,
        kekVersion: kek.currentVersion,
        wrap,
        mode: "simulation",
      });
      const keyHsm = parseKeyHsm(await vault.releaseKek(decision));
      const expected = { keyId: tee.runtimeData.keys[0].kid, wrap };
      using pkcs8 = unwrapKeyHsm({ keyHsm, privateKey: tee.privateKey, expected });
      const key = pkcs8.expose((bytes) =>
        createPrivateKey({ key: Buffer.from(bytes), format: "der", type: "pkcs8" }),
      );
      const spki = createPublicKey(key).export({ type: "spki", format: "der" });
      assert.equal(kekVersionOf(new Uint8Array(spki)), kek.currentVersion);
    }
  });

  test("T270: another measurement than the KEK's policy names gets nothing", () => {
    assert.throws(() => decide({ measurement: "b2".repeat(48) }), {
      code: "release.denied",
      message: /launchmeasurement equals/,
    });
  });

  test("T270: a key that the Evidence does not bind gets nothing", () => {
    const other = newKekTee().runtimeData;
    assert.throws(() => decide({ runtimeData: other }), { code: "release.binding" });
    const [, signing] = tee.runtimeData.keys;
    const mixed: KekRuntimeData = { ...tee.runtimeData, keys: [other.keys[0], signing] };
    assert.throws(
      () =>
        releaseKek({
          ...attested(mixed),
          runtimeData: mixed,
          kek,
          kekVersion: kek.currentVersion,
          wrap: "RSA_AES_KEY_WRAP_384",
          mode: "simulation",
        }),
      { code: "release.binding", message: /have to be the same key/ },
    );
  });

  test("T270: simulated Evidence opens nothing in production", () => {
    const options = { ...attested(tee.runtimeData), runtimeData: tee.runtimeData, kek };
    const rest = { kekVersion: kek.currentVersion, wrap: "RSA_AES_KEY_WRAP_384" as const };
    assert.throws(() => releaseKek({ ...options, ...rest, mode: "production" }), {
      code: "attest.simulated",
    });
  });

  test("T270: a decision by another policy, for an unwrap-only KEK or another mode is refused by the vault", async () => {
    const releasePolicy = releasePolicyFor({
      mode: "simulation",
      measurements: ["a1".repeat(48), "c3".repeat(48)],
    });
    const lenient = decide({ kek: { ...kek, releasePolicy } });
    await refuses("key.not_permitted", vault.releaseKek(lenient));
    const inner = await vault.createKek({ name: "stays", kind: "unwrap-only" });
    assert.throws(() => decide({ kek: inner }), { code: "key.not_permitted" });
    const { kekId, currentVersion: kekVersion } = inner;
    const forged = { ...decide(), kekId, kekVersion } as KekRelease;
    await refuses("key.not_permitted", vault.releaseKek(forged));
    const elsewhere = { ...decide(), mode: "production" } as KekRelease;
    await refuses("key.vault_mode", vault.releaseKek(elsewhere));
    const missing = { ...decide(), kekVersion: "0".repeat(32) } as KekRelease;
    await refuses("key.not_found", vault.releaseKek(missing));
  });

  test("T270: a key of under 3,072 bits gets nothing", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { n = "" } = publicKey.export({ format: "jwk" });
    const small = { kty: "RSA", n, e: "AQAB" } as const;
    const decision = { ...decide(), target: { keyId: "k", jwk: small } } as KekRelease;
    await refuses("key.not_permitted", vault.releaseKek(decision));
  });

  test("T270: a disabled KEK is not released", async () => {
    const decision = decide();
    await vault.disableKek(kek.kekId);
    await refuses("key.disabled", vault.releaseKek(decision));
    await vault.enableKek(kek.kekId);
  });

  test("T270: only releaseKek makes a decision", () => {
    const made = globSync("src/**/*.ts").filter((path) =>
      /\bas (?:unknown as )?KekRelease\b/.test(readFileSync(path, "utf8")),
    );
    assert.deepEqual(made, [join("src", "release", "decide-kek.ts")]);
  });
});
