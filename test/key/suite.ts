import assert from "node:assert/strict";
import { constants, publicEncrypt, randomBytes, subtle } from "node:crypto";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, type PpmlError, type Secret, toHex } from "../../src/base/index.ts";
import { kekIdSchema, kekPublicKeySchema, type Mode } from "../../src/format/kek.ts";
import type { SkrPolicy } from "../../src/format/skr/skr-policy.ts";
import {
  type KekInfo,
  kekVersionOf,
  makeLocalKey,
  type NewKek,
  toUnwrapRequest,
  type UnwrapRequest,
  type Vault,
  verifyKekPublicKey,
  wrapLocalKey,
} from "../../src/key/index.ts";

/** What an adapter gives to the shared suite: an empty vault, and how to do away with it. */
export type VaultFixture = {
  readonly vault: Vault;
  readonly mode: Mode;
  /**
   * keeps: a destroyed KEK or version leaves a tombstone. deletes: a KEK is deleted as a whole and can
   * be recovered for a time; versions are not destroyed.
   */
  readonly destroying: "keeps" | "deletes";
  readonly dispose: () => Promise<void>;
};

/** A release policy that a suite's exportable KEK is made with. */
export const SUITE_POLICY: SkrPolicy = {
  version: "1.0.0",
  anyOf: [
    {
      authority: "https://sharedeus.eus.attest.azure.net",
      allOf: [
        { claim: "x-ms-isolation-tee.x-ms-compliance-status", equals: "azure-compliant-cvm" },
      ],
    },
  ],
};

/** The tests that every vault passes. KEKs are shared between tests: making one is slow. */
export function runVaultSuite(name: string, makeFixture: () => Promise<VaultFixture>): void {
  describe(`vault ${name}`, () => {
    let fixture: VaultFixture;
    let vault: Vault;
    let first: KekInfo;
    let second: KekInfo;

    before(async () => {
      fixture = await makeFixture();
      vault = fixture.vault;
      first = await vault.createKek({ name: "first", kind: "unwrap-only", purpose: "the suite's" });
      second = await vault.createKek({ name: "second", kind: "unwrap-only" });
    });
    after(async () => fixture.dispose());

    test("a new KEK is enabled and its only version is current", async () => {
      assert.equal(vault.mode, fixture.mode);
      assert.deepEqual(
        { ...first, created: "", kekId: "", currentVersion: "", versions: [] },
        {
          kekId: "",
          name: "first",
          kind: "unwrap-only",
          releasePolicy: null,
          mode: fixture.mode,
          purpose: "the suite's",
          state: "enabled",
          recoverableUntil: null,
          created: "",
          currentVersion: "",
          versions: [],
        },
      );
      assert.equal(second.purpose, null);
      assert.ok(kekIdSchema.safeParse(first.kekId).success);
      assert.match(first.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.equal(first.versions.length, 1);
      const [version] = first.versions;
      assert.equal(version?.kekVersion, first.currentVersion);
      assert.equal(version?.bits, 3072);
      assert.equal(version?.state, "enabled");
      assert.notEqual(first.currentVersion, second.currentVersion);
      assert.deepEqual(await vault.listKeks(), [first, second]);
      assert.deepEqual(await vault.showKek(first.kekId), first);
    });

    test("a public key names its KEK, mode and kind, and its version is that of its SPKI", async () => {
      const kek = await vault.publicKey(first.kekId);
      assert.deepEqual(kekPublicKeySchema.parse(kek), kek);
      assert.equal(kek.kekId, first.kekId);
      assert.equal(kek.mode, fixture.mode);
      assert.equal(kek.kind, "unwrap-only");
      const spki = verifyKekPublicKey(kek).export({ type: "spki", format: "der" });
      assert.equal(kek.kekVersion, kekVersionOf(spki));
      assert.deepEqual(await vault.publicKey(first.kekId, first.currentVersion), kek);
    });

    test("a local key wrapped offline comes back from the vault", async () => {
      const { request, hex } = await wrapped(vault, first.kekId);
      using secret = await vault.unwrap(request);
      assert.equal(hexOf(secret), hex);
    });

    test("what WebCrypto wraps as RSA-OAEP with SHA-256 is unwrapped", async () => {
      const kek = await vault.publicKey(first.kekId);
      const algorithm = { name: "RSA-OAEP", hash: "SHA-256" };
      const key = await subtle.importKey("jwk", { ...kek.jwk }, algorithm, false, ["encrypt"]);
      const plain = Uint8Array.from(randomBytes(32));
      const bytes = new Uint8Array(await subtle.encrypt({ name: "RSA-OAEP" }, key, plain));
      using secret = await vault.unwrap({ ...kek, wrapped: bytes });
      assert.equal(hexOf(secret), toHex(plain));
    });

    test("a batch over several KEKs comes back in its order, and an empty one is empty", async () => {
      const keys = [];
      for (const kek of [first, second, first, second, second])
        keys.push(await wrapped(vault, kek.kekId));
      const secrets = await vault.unwrapAll(keys.map((key) => key.request));
      assert.deepEqual(
        secrets.map(hexOf),
        keys.map((key) => key.hex),
      );
      assert.deepEqual(await vault.unwrapAll([]), []);
    });

    test("a wrapped key pasted under another KEK is refused", async () => {
      const { request } = await wrapped(vault, first.kekId);
      const { kekId, currentVersion: kekVersion } = second;
      const failure = await failureOf(vault.unwrap({ ...request, kekId, kekVersion }));
      assert.equal(failure.code, "key.unwrap_failed");
      assert.match(failure.message, /wrapped under another key, or changed/);
      // The id of the one and the version of the other do not make a KEK.
      await refuses("key.not_found", vault.unwrap({ ...request, kekId }));
    });

    test("whatever is wrong with a wrapped key, the error is the same and names no step", async () => {
      const { request } = await wrapped(vault, first.kekId);
      const kek = await vault.publicKey(first.kekId);
      const key = verifyKekPublicKey(kek);
      const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING };
      const flipped = Uint8Array.from(request.wrapped);
      flipped[100] = (flipped[100] ?? 0) ^ 1;
      // One in 256 begins with a zero, without which OpenSSL reads the same number.
      let zeroFirst: Uint8Array = request.wrapped;
      while (zeroFirst[0] !== 0)
        zeroFirst = publicEncrypt({ ...oaep, oaepHash: "sha256" }, randomBytes(32));
      const bad: Uint8Array[] = [
        flipped,
        zeroFirst.subarray(1),
        request.wrapped.subarray(1),
        request.wrapped.subarray(0, 10),
        new Uint8Array(0),
        new Uint8Array(384),
        new Uint8Array(384).fill(0xff),
        new Uint8Array(5000).fill(7),
        publicEncrypt({ ...oaep, oaepHash: "sha256" }, randomBytes(31)),
        publicEncrypt({ ...oaep, oaepHash: "sha256" }, randomBytes(33)),
        publicEncrypt({ ...oaep, oaepHash: "sha256" }, new Uint8Array(0)),
        publicEncrypt({ ...oaep, oaepHash: "sha1" }, randomBytes(32)),
        publicEncrypt({ ...oaep, oaepHash: "sha256", oaepLabel: Buffer.of(1) }, randomBytes(32)),
        publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, randomBytes(32)),
      ];
      const messages = new Set<string>();
      for (const bytes of bad) {
        const failure = await failureOf(vault.unwrap({ ...request, wrapped: bytes }));
        assert.equal(failure.code, "key.unwrap_failed");
        assert.equal(failure.cause, undefined);
        messages.add(failure.message);
      }
      assert.equal(messages.size, 1);
    });

    test("no random bytes are taken for a wrapped key", async () => {
      const { kekId, currentVersion: kekVersion } = first;
      const property = fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        await refuses("key.unwrap_failed", vault.unwrap({ kekId, kekVersion, wrapped: bytes }));
      });
      await fc.assert(property, { numRuns: 30 });
    });

    test("a batch with one bad key gives nothing", async () => {
      const good = await wrapped(vault, first.kekId);
      const bad = { ...good.request, wrapped: new Uint8Array(384) };
      await refuses("key.unwrap_failed", vault.unwrapAll([good.request, bad, good.request]));
      const foreign = { ...good.request, kekVersion: "0".repeat(32) };
      await refuses("key.not_found", vault.unwrapAll([good.request, foreign]));
    });

    test("a name that is taken or not kebab-case is refused", async () => {
      await refuses("key.exists", vault.createKek({ name: "first", kind: "unwrap-only" }));
      for (const bad of ["", "First", "a b", "a/b", "ä", "a".repeat(64), "a\n", "a_b", "../a"])
        await refuses("key.not_permitted", vault.createKek({ name: bad, kind: "unwrap-only" }));
    });

    test("a purpose with control characters or of more than 200 characters is refused", async () => {
      for (const purpose of ["a\u0007", "a".repeat(201)])
        await refuses(
          "key.not_permitted",
          vault.createKek({ name: "purposeful", kind: "unwrap-only", purpose }),
        );
    });

    test("ids and versions that the vault does not have are not found", async () => {
      const other = first.kekId.replace(/first$/, "other");
      const wrappedBytes = new Uint8Array(384);
      for (const kekId of [other, "", "x", `${first.kekId}/`, "embedded:0000000000000000/first"]) {
        await refuses("key.not_found", vault.showKek(kekId));
        await refuses("key.not_found", vault.publicKey(kekId));
        await refuses("key.not_found", vault.rotateKek(kekId));
        await refuses("key.not_found", vault.disableKek(kekId));
        await refuses("key.not_found", vault.enableKek(kekId));
        await refuses("key.not_found", vault.destroyKek(kekId));
        const { currentVersion: kekVersion } = first;
        await refuses("key.not_found", vault.unwrap({ kekId, kekVersion, wrapped: wrappedBytes }));
      }
      for (const kekVersion of ["", "0".repeat(32), second.currentVersion]) {
        await refuses("key.not_found", vault.publicKey(first.kekId, kekVersion));
        await refuses("key.not_found", vault.disableKek(first.kekId, kekVersion));
        await refuses("key.not_found", vault.destroyKek(first.kekId, kekVersion));
      }
    });

    test("T271: an exportable KEK keeps its release policy, and the vault never unwraps with it", async () => {
      const made = await vault.createKek({
        name: "exported",
        kind: "exportable",
        releasePolicy: SUITE_POLICY,
        purpose: "leaves",
      });
      assert.equal(made.kind, "exportable");
      assert.deepEqual(made.releasePolicy, SUITE_POLICY);
      assert.equal((await vault.publicKey(made.kekId)).kind, "exportable");
      const { request } = await wrapped(vault, made.kekId);
      const failure = await failureOf(vault.unwrap(request));
      assert.equal(failure.code, "key.not_permitted");
      assert.match(failure.message, /is exportable: it has no unwrap operation/);
      const good = await wrapped(vault, first.kekId);
      await refuses("key.not_permitted", vault.unwrapAll([good.request, request]));
      // Nothing changes what it was made with: rotation keeps kind and policy.
      assert.deepEqual(await vault.fixReleasePolicy(made.kekId), made);
      await refuses("key.not_permitted", vault.fixReleasePolicy(first.kekId));
      const rotated = await vault.rotateKek(made.kekId);
      assert.deepEqual([rotated.kind, rotated.releasePolicy], ["exportable", SUITE_POLICY]);
      await refuses("key.not_permitted", vault.unwrap((await wrapped(vault, made.kekId)).request));
      await vault.destroyKek(made.kekId);
    });

    test("T271: kind and release policy belong together, and the policy is in the grammar", async () => {
      const policy = SUITE_POLICY;
      const odd: readonly (readonly [code: PpmlError["code"], kek: object])[] = [
        ["key.not_permitted", { kind: "exportable" }],
        ["key.not_permitted", { kind: "unwrap-only", releasePolicy: policy }],
        ["release.policy", { kind: "exportable", releasePolicy: { ...policy, anyOf: [] } }],
      ];
      for (const [code, kek] of odd)
        await refuses(code, vault.createKek({ name: "odd", ...kek } as NewKek));
    });

    test("a disabled KEK neither unwraps nor gives its public key, until it is enabled", async () => {
      const { kekId } = first;
      const { request, hex } = await wrapped(vault, kekId);
      assert.equal((await vault.disableKek(kekId)).state, "disabled");
      assert.equal((await vault.disableKek(kekId)).state, "disabled");
      await refuses("key.disabled", vault.unwrap(request));
      await refuses("key.disabled", vault.publicKey(kekId));
      await refuses("key.disabled", vault.rotateKek(kekId));
      using others = await vault.unwrap((await wrapped(vault, second.kekId)).request);
      assert.equal(others.byteLength, 32);
      assert.deepEqual(await vault.enableKek(kekId), first);
      using secret = await vault.unwrap(request);
      assert.equal(hexOf(secret), hex);
    });

    test("a rotated KEK seals with the new version and opens with both, until the old one is destroyed", async () => {
      const { kekId, currentVersion: oldVersion } = first;
      const before1 = await wrapped(vault, kekId);
      const rotated = await vault.rotateKek(kekId);
      assert.notEqual(rotated.currentVersion, oldVersion);
      assert.deepEqual(
        rotated.versions.map((version) => [version.kekVersion, version.number, version.state]),
        [
          [oldVersion, 1, "enabled"],
          [rotated.currentVersion, 2, "enabled"],
        ],
      );
      const after1 = await wrapped(vault, kekId);
      assert.equal(after1.request.kekVersion, rotated.currentVersion);
      const both = await vault.unwrapAll([before1.request, after1.request]);
      assert.deepEqual(both.map(hexOf), [before1.hex, after1.hex]);
      const pasted = { ...before1.request, kekVersion: rotated.currentVersion };
      await refuses("key.unwrap_failed", vault.unwrap(pasted));

      await vault.disableKek(kekId, oldVersion);
      await refuses("key.disabled", vault.unwrap(before1.request));
      await vault.enableKek(kekId, oldVersion);
      (await vault.unwrap(before1.request))[Symbol.dispose]();

      await refuses("key.not_permitted", vault.destroyKek(kekId, rotated.currentVersion));
      if (fixture.destroying === "deletes") {
        await refuses("key.not_permitted", vault.destroyKek(kekId, oldVersion));
        return;
      }
      const left = await vault.destroyKek(kekId, oldVersion);
      assert.deepEqual(
        left.versions.map((version) => version.state),
        ["destroyed", "enabled"],
      );
      assert.deepEqual(await vault.destroyKek(kekId, oldVersion), left);
      await refuses("key.destroyed", vault.unwrap(before1.request));
      await refuses("key.destroyed", vault.publicKey(kekId, oldVersion));
      await refuses("key.destroyed", vault.enableKek(kekId, oldVersion));
      using secret = await vault.unwrap(after1.request);
      assert.equal(hexOf(secret), after1.hex);
    });

    test("a destroyed KEK stays as a tombstone: nothing opens, enables, rotates or renames it", async () => {
      const { kekId } = second;
      const { request } = await wrapped(vault, kekId);
      const gone = await vault.destroyKek(kekId);
      const isDeleted = fixture.destroying === "deletes";
      const state = isDeleted ? "deleted" : "destroyed";
      assert.equal(gone.state, state);
      assert.equal(gone.recoverableUntil !== null, isDeleted);
      assert.ok(gone.versions.every((version) => version.state === state));
      assert.deepEqual(await vault.destroyKek(kekId), gone);
      assert.deepEqual(await vault.showKek(kekId), gone);
      await refuses("key.destroyed", vault.unwrap(request));
      await refuses("key.destroyed", vault.publicKey(kekId));
      await refuses("key.destroyed", vault.enableKek(kekId));
      await refuses("key.destroyed", vault.disableKek(kekId));
      await refuses("key.destroyed", vault.rotateKek(kekId));
      await refuses("key.exists", vault.createKek({ name: "second", kind: "unwrap-only" }));
    });
  });
}

/** A fresh local key wrapped under a KEK's current version, and its hex for comparing. */
export async function wrapped(
  vault: Vault,
  kekId: string,
  kekVersion?: string,
): Promise<{ readonly request: UnwrapRequest; readonly hex: string }> {
  const kek = await vault.publicKey(kekId, kekVersion);
  const { localKey, localKeyId } = makeLocalKey();
  using key = localKey;
  const request = toUnwrapRequest(wrapLocalKey({ localKey: key, localKeyId, kek }));
  return { request, hex: hexOf(key) };
}

/** Hex of a test's secret. */
export function hexOf(secret: Secret): string {
  return secret.expose(toHex);
}

/** The PpmlError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<PpmlError> {
  const error: unknown = await promise.then(
    () => new Error("expected a PpmlError, but it did not reject"),
    (reason: unknown) => reason,
  );
  if (isPpmlError(error)) return error;
  throw error;
}

/** Asserts the code of the PpmlError that a promise rejects with. */
export async function refuses(code: PpmlError["code"], promise: Promise<unknown>): Promise<void> {
  assert.equal((await failureOf(promise)).code, code);
}
