import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError } from "../../src/base/index.ts";
import { jwkThumbprint } from "../../src/format/jwk.ts";
import {
  createSigningKeyFile,
  loadRootKeyFile,
  loadSigningKey,
  type RootKey,
  signingKeyPassphrase,
} from "../../src/key/index.ts";
import { makeFolder } from "./embedded/fixture.ts";
import { refuses } from "./suite.ts";

describe("signing keys", () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>;
  let root: RootKey;
  before(async () => {
    folder = await makeFolder();
    root = await loadRootKeyFile(folder.root);
  });
  after(async () => {
    root[Symbol.dispose]();
    await folder.dispose();
  });

  test("a signing key is made in a file for its owner alone, and loads as the same key", async () => {
    const path = folder.path("owner.pem");
    const made = await createSigningKeyFile({ path, root, purpose: "owner" });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const loaded = await loadSigningKey({ path, root, purpose: "owner" });
    assert.deepEqual(loaded.publicJwk, made.publicJwk);
    assert.equal(loaded.keyId, jwkThumbprint(made.publicJwk));
    assert.equal(loaded.privateKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    const message = Buffer.from("a message");
    const publicKey = createPublicKey({ key: { ...made.publicJwk }, format: "jwk" });
    const signature = sign("sha256", message, loaded.privateKey);
    assert.ok(verify("sha256", message, publicKey, signature));
  });

  test("its file is PKCS#8 PEM that OpenSSL reads with the derived passphrase", async () => {
    const path = folder.path("openssl.pem");
    const made = await createSigningKeyFile({ path, root, purpose: "service" });
    using secret = signingKeyPassphrase({ root, purpose: "service" });
    const key = readFileSync(path, "latin1");
    assert.match(
      key,
      /^ppml-signing-key v1 service .{43}\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n/,
    );
    const read = secret.expose((bytes) =>
      createPrivateKey({ key, passphrase: Buffer.from(bytes) }).export({ format: "jwk" }),
    );
    assert.equal(read.x, made.publicJwk.x);
  });

  test("a signing key's file is never written over", async () => {
    const path = folder.path("once.pem");
    await createSigningKeyFile({ path, root, purpose: "owner" });
    const text = readFileSync(path, "latin1");
    await refuses("key.vault_io", createSigningKeyFile({ path, root, purpose: "owner" }));
    assert.equal(readFileSync(path, "latin1"), text);
  });

  test("another root key, another purpose and wider rights are refused", async () => {
    const path = folder.path("mine.pem");
    await createSigningKeyFile({ path, root, purpose: "owner" });
    const other = await makeFolder();
    try {
      using foreign = await loadRootKeyFile(other.root);
      const opening = loadSigningKey({ path, root: foreign, purpose: "owner" });
      await refuses("key.vault_locked", opening);
    } finally {
      await other.dispose();
    }
    await refuses("key.vault_invalid", loadSigningKey({ path, root, purpose: "service" }));
    const renamed = readFileSync(path, "latin1").replace("v1 owner", "v1 service");
    const moved = folder.path("moved.pem");
    writeFileSync(moved, renamed, { mode: 0o600 });
    await refuses("key.vault_locked", loadSigningKey({ path: moved, root, purpose: "service" }));
    chmodSync(path, 0o644);
    await refuses("key.vault_io", loadSigningKey({ path, root, purpose: "owner" }));
    const missing = loadSigningKey({ path: folder.path("none.pem"), root, purpose: "owner" });
    await refuses("key.vault_missing", missing);
  });

  test("a changed or cut file is refused before it is decrypted", async () => {
    const path = folder.path("fuzz.pem");
    await createSigningKeyFile({ path, root, purpose: "owner" });
    const bytes = readFileSync(path);
    const change = fc.tuple(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
    );
    const property = fc.asyncProperty(change, async ([at, mask, cut]) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ mask;
      writeFileSync(path, cut ? bytes.subarray(0, at) : changed, { mode: 0o600 });
      await assert.rejects(loadSigningKey({ path, root, purpose: "owner" }), (error) =>
        isPpmlError(error),
      );
    });
    await fc.assert(property);
  });
});
