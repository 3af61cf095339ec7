import { readFileSync, writeFileSync } from "node:fs";
import { Duplex } from "node:stream";
import { utf8 } from "../../src/base/index.ts";
import { readFrames } from "../../src/compute/sql/frames.ts";
import { parseScanFilter } from "../../src/compute/sql/scan-filter.ts";
import {
  createEmbeddedVault,
  loadRootKeyFile,
  openEmbeddedVault,
  parseKekPublicKey,
} from "../../src/key/index.ts";
import { loadSigningKey, createSigningKeyFile } from "../../src/key/signing-key.ts";
import { exportPublicKey } from "../../src/key/public-key.ts";
import { makeFolder } from "../../test/key/embedded/fixture.ts";
import { type FuzzTarget, parses } from "./target.ts";

/** What lies on disks and pipes: the vault's file, key files, frames between launcher and worker. */
export const STATE_TARGETS: readonly FuzzTarget[] = [
  { name: "vault-file", prepare: prepareVault },
  { name: "signing-key-file", prepare: prepareSigningKey },
  { name: "root-key-file", prepare: prepareRootKey },
  parses(
    "kek-public-key",
    async () => {
      const folder = await makeFolder();
      try {
        using vault = await createEmbeddedVault({
          path: folder.path("v"),
          mode: "simulation",
          root: folder.root,
        });
        const { kekId } = await vault.createKek({ name: "a", kind: "unwrap-only" });
        const kek = await vault.publicKey(kekId);
        return [utf8(exportPublicKey(kek, "pem")), utf8(exportPublicKey(kek, "jwk"))];
      } finally {
        await folder.dispose();
      }
    },
    (input) => parseKekPublicKey(Buffer.from(input).toString("utf8")).kekId,
  ),
  parses(
    "worker-frames",
    () => [
      frame(1, utf8("{}")),
      Buffer.concat([frame(3, new Uint8Array(100)), frame(7, utf8("x"))]),
    ],
    async (input) => {
      const types: number[] = [];
      // In two pieces, so that heads are cut too.
      const half = Math.floor(input.byteLength / 2);
      const channel = Duplex.from([
        Buffer.from(input.subarray(0, half)),
        Buffer.from(input.subarray(half)),
      ]);
      for await (const { type } of readFrames(channel)) types.push(type);
      return types;
    },
  ),
  parses(
    "scan-filter",
    () => [utf8("d>='2001-02-01'::DATE AND x<5"), utf8("a='it''s' AND b>=1.5 OR c IS NOT NULL")],
    (input) => parseScanFilter(Buffer.from(input).toString("utf8"), ["a", "b", "d", "x"]).length,
  ),
];

function frame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32LE(5 + payload.byteLength);
  head.writeUInt8(type, 4);
  return Buffer.concat([head, payload]);
}

/** What is taken out of a vault is its list of KEKs: state, versions and purposes. */
async function prepareVault(): ReturnType<FuzzTarget["prepare"]> {
  const folder = await makeFolder();
  const { root } = folder;
  const path = folder.path("v.db");
  {
    using vault = await createEmbeddedVault({ path, mode: "production", root });
    const a = await vault.createKek({ name: "a", kind: "unwrap-only", purpose: "numbers" });
    await vault.rotateKek(a.kekId);
    const b = await vault.createKek({ name: "b", kind: "unwrap-only" });
    await vault.disableKek(b.kekId);
  }
  const changed = folder.path("changed.db");
  return {
    seeds: [new Uint8Array(readFileSync(path))],
    promise: "authentic",
    run: async (input) => {
      writeFileSync(changed, input, { mode: 0o600 });
      using vault = await openEmbeddedVault({ path: changed, root });
      return { mode: vault.mode, keks: await vault.listKeks() };
    },
    dispose: folder.dispose,
  };
}

async function prepareSigningKey(): ReturnType<FuzzTarget["prepare"]> {
  const folder = await makeFolder();
  const root = await loadRootKeyFile({ path: folder.root.path });
  const [path, changed] = [folder.path("owner.key"), folder.path("changed.key")];
  await createSigningKeyFile({ path, root, purpose: "owner" });
  return {
    seeds: [new Uint8Array(readFileSync(path))],
    promise: "authentic",
    run: async (input) => {
      writeFileSync(changed, input, { mode: 0o600 });
      return (await loadSigningKey({ path: changed, root, purpose: "owner" })).keyId;
    },
    dispose: folder.dispose,
  };
}

async function prepareRootKey(): ReturnType<FuzzTarget["prepare"]> {
  const folder = await makeFolder();
  const changed = folder.path("changed.key");
  return {
    seeds: [new Uint8Array(readFileSync(folder.root.path))],
    promise: "parses",
    run: async (input) => {
      writeFileSync(changed, input, { mode: 0o600 });
      using _ = await loadRootKeyFile({ path: changed });
      return null;
    },
    dispose: folder.dispose,
  };
}
