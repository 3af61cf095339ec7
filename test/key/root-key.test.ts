import assert from "node:assert/strict";
import {
  chmodSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";
import { Secret, toHex, utf8 } from "../../src/base/index.ts";
import { createRootKeyFile, loadRootKeyFile, RootKey } from "../../src/key/index.ts";
import { deriveRootKey } from "../../src/key/root-key.ts";
import { makeFolder } from "./embedded/fixture.ts";
import { failureOf, hexOf, refuses } from "./suite.ts";

describe("root keys", () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>;
  before(async () => {
    folder = await makeFolder();
  });
  after(async () => folder.dispose());
  const info = utf8("a test");
  const salt = new Uint8Array(0);

  test("a root-key file is a header and 43 digits, for its owner alone, and loads", async () => {
    const { path } = folder.root;
    assert.match(readFileSync(path, "latin1"), /^ppml-root-key v1\n[A-Za-z0-9_-]{43}\n$/);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    using one = await loadRootKeyFile({ path });
    using two = await loadRootKeyFile({ path });
    assert.equal(hexOf(one.derive({ salt, info })), hexOf(two.derive({ salt, info })));
    assert.deepEqual(readdirSync(folder.folder), ["root.key"]);
  });

  test("a root-key file is never written over", async () => {
    const { path } = folder.root;
    const before1 = readFileSync(path, "latin1");
    await refuses("key.vault_io", createRootKeyFile({ path }));
    assert.equal(readFileSync(path, "latin1"), before1);
    assert.deepEqual(readdirSync(folder.folder), ["root.key"]);
    await refuses("key.vault_io", createRootKeyFile({ path: folder.path("none/root.key") }));
  });

  test("a root-key file that group or others may use is refused with the remedy", async () => {
    const path = folder.path("wide.key");
    await createRootKeyFile({ path });
    for (const mode of [0o640, 0o604, 0o620, 0o666, 0o601]) {
      chmodSync(path, mode);
      const failure = await failureOf(loadRootKeyFile({ path }));
      assert.equal(failure.code, "key.vault_io");
      assert.match(failure.message, /must be 0600: run chmod 600 /);
    }
    chmodSync(path, 0o400);
    (await loadRootKeyFile({ path }))[Symbol.dispose]();
  });

  test("a link in a root-key file's place is refused; one on the way to it is followed", async () => {
    const path = folder.path("target.key");
    await createRootKeyFile({ path });
    symlinkSync(path, folder.path("link.key"));
    const failure = await failureOf(loadRootKeyFile({ path: folder.path("link.key") }));
    assert.equal(failure.code, "key.vault_io");
    assert.match(failure.message, /symbolic link: .* name its real path/);
    // As Kubernetes mounts secrets: NAME is a link to ..data/NAME, and ..data one to a folder.
    symlinkSync(folder.folder, folder.path("..data"));
    (await loadRootKeyFile({ path: folder.path("..data/target.key") }))[Symbol.dispose]();
  });

  test("files that are not root-key files are refused, without their content in the message", async () => {
    const path = folder.path("bad.key");
    const digits = "A".repeat(43);
    for (const text of [
      "",
      "ppml-root-key v1\n",
      digits,
      `ppml-root-key v2\n${digits}\n`,
      `ppml-root-key v1\n${digits}`,
      `ppml-root-key v1\n${digits}A\n`,
      `ppml-root-key v1\n${digits}\n\n`,
      `ppml-root-key v1\n${"A".repeat(42)}B\n`,
      `ppml-root-key v1\n${"A".repeat(42)}+\n`,
      `ppml-root-key v1\r\n${digits}\r\n`,
    ]) {
      writeFileSync(path, text, { mode: 0o600 });
      const failure = await failureOf(loadRootKeyFile({ path }));
      assert.equal(failure.code, "key.vault_locked", text);
      assert.ok(!failure.message.includes("AAAA"));
    }
    writeFileSync(path, "A".repeat(257));
    await refuses("key.vault_io", loadRootKeyFile({ path }));
    await refuses("key.vault_io", loadRootKeyFile({ path: folder.folder }));
    await refuses("key.vault_missing", loadRootKeyFile({ path: folder.path("none") }));
  });

  test("keys derived with other infos or salts differ, and the root key is not printed", () => {
    using root = RootKey.take(Secret.take(new Uint8Array(32).fill(5)));
    const hexes = [
      hexOf(root.derive({ salt, info })),
      hexOf(root.derive({ salt, info: utf8("another") })),
      hexOf(root.derive({ salt: Uint8Array.of(1), info })),
    ];
    assert.equal(new Set(hexes).size, 3);
    assert.ok(!inspect(root, { depth: 9, showHidden: true }).includes("5, 5"));
    assert.throws(() => RootKey.take(Secret.take(new Uint8Array(31))), /32 bytes/);
  });

  test("a passphrase gives the key that scrypt of RFC 7914 gives", () => {
    const passphrase = Secret.take(utf8("pleaseletmein"));
    const parameters = { n: 2 ** 15, r: 8, p: 1, salt: new Uint8Array(32).fill(9) };
    using root = deriveRootKey(passphrase, parameters);
    // Computed with Python's hashlib.scrypt and HMAC: HKDF-SHA256, empty salt, info "a test".
    assert.equal(root.derive({ salt, info }).expose(toHex), EXPECTED);
  });
});

const EXPECTED = "f779411df4125c441c1b5218742dcb8995a6d21e111bca9b9e6b1965c6b43c5a";
