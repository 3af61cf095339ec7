import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isPpmlError, PpmlError, toHex } from "../../src/base/index.ts";
import type { SigningKey } from "../../src/format/jwk.ts";
import type { KekPublicKey } from "../../src/format/kek.ts";
import { manifestSchema } from "../../src/format/manifest.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import { SEALED_FILE_HEADER_BYTES } from "../../src/format/sealed-file/index.ts";
import {
  parseKeyMaterial,
  readSealedFooter,
  toWrappedLocalKey,
} from "../../src/format/parquet/index.ts";
import { verifyObject } from "../../src/format/signed-object.ts";
import type { Envelope, VerifiedObject } from "../../src/format/signed-object.ts";
import {
  createEmbeddedVault,
  createRootKeyFile,
  createSigningKeyFile,
  loadSigningKey,
} from "../../src/key/index.ts";
import { toUnwrapRequest } from "../../src/key/index.ts";
import type { EmbeddedVault } from "../../src/key/index.ts";
import { checkListing, openSealedFile } from "../../src/open/index.ts";
import { proveRewrapped, rewrapDataset, sealDataset } from "../../src/seal/index.ts";
import type { SealInput } from "../../src/seal/index.ts";
import { openStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { sureAuthority } from "../compute/fixture.ts";
import { startDuck } from "../format/parquet/duck.ts";
import { sourceOf } from "../format/parquet/tables.ts";

const datasetId = toHex(randomBytes(16));
const nowMs = Date.UTC(2026, 0, 1);
let folder = "";
let vault: EmbeddedVault;
let owner: SigningKey;
let table: Uint8Array;
const kekIds: Record<string, string> = {};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ppml-rewrap-"));
  const root = { kind: "file", path: join(folder, "root.key") } as const;
  await createRootKeyFile({ path: root.path });
  vault = await createEmbeddedVault({ path: join(folder, "vault"), root, mode: "simulation" });
  for (const name of ["rest", "secret"])
    kekIds[name] = (await vault.createKek({ name, kind: "unwrap-only" })).kekId;
  const path = join(folder, "owner.key");
  await createSigningKeyFile({ path, root: vault.root, purpose: "owner" });
  owner = await loadSigningKey({ path, root: vault.root, purpose: "owner" });
  await using duck = await startDuck();
  table = await duck.parquet(
    "select i as id, 'name ' || i as name from range(5000) r(i)",
    ", row_group_size 2048",
  );
});

after(async () => {
  vault[Symbol.dispose]();
  await rm(folder, { recursive: true, force: true });
});

function idOf(name: string): string {
  return kekIds[name] ?? "";
}

async function currentKeks(): Promise<Map<string, KekPublicKey>> {
  const keks = await Promise.all(Object.values(kekIds).map((id) => vault.publicKey(id)));
  return new Map(keks.map((kek) => [kek.kekId, kek]));
}

async function versions(): Promise<Map<string, string>> {
  return new Map([...(await currentKeks())].map(([id, kek]) => [id, kek.kekVersion]));
}

function input(name: string, kind: "table" | "file", bytes: Uint8Array): SealInput {
  const open = () =>
    Promise.resolve({ ...sourceOf(bytes), [Symbol.asyncDispose]: () => Promise.resolve() });
  return { name, kind, open };
}

function verified(envelope: Envelope): VerifiedObject<Manifest> {
  const signers = [owner.publicJwk];
  return verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers });
}

/** Two tables of two groups and a file, sealed under the current KEKs. */
async function sealed(): Promise<{ readonly store: Store; readonly envelope: Envelope }> {
  const store = await openStore(await mkdtemp(join(folder, "data-")));
  const { envelope } = await sealDataset({
    valuesInPaths: "refuse",
    authority: sureAuthority(),
    store,
    datasetId,
    name: "people",
    version: 1,
    groups: [
      { name: "rest", columns: null, kek: await vault.publicKey(idOf("rest")) },
      { name: "secret", columns: ["name"], kek: await vault.publicKey(idOf("secret")) },
    ],
    inputs: [
      input("a.parquet", "table", table),
      input("b.parquet", "table", table),
      input("c.bin", "file", new Uint8Array(randomBytes(100_000))),
    ],
    signer: owner,
    nowMs,
  });
  return { store, envelope };
}

async function rewrap(store: Store, envelope: Envelope) {
  const targetKeks = await currentKeks();
  return rewrapDataset({
    store,
    envelope: verified(envelope),
    version: verified(envelope).payload.version + 1,
    authority: sureAuthority(),
    vault,
    targetKeks,
    signer: owner,
    nowMs,
  });
}

/** The store, failing before its nth write and noting each read of an object. */
function watch(store: Store, failAt = Infinity) {
  const reads: { readonly name: string; readonly offset: number; readonly end: number }[] = [];
  let writes = 0;
  const count = () => {
    writes += 1;
    if (writes >= failAt) throw new PpmlError("store.io", "killed");
  };
  const watched: Store = {
    ...store,
    uri: store.uri,
    put: async (...args) => (count(), store.put(...args)),
    replace: async (...args) => (count(), store.replace(...args)),
    head: (name) => store.head(name),
    list: (prefix) => store.list(prefix),
    delete: (...args) => store.delete(...args),
    source: async (name) => {
      const source = await store.source(name);
      return {
        size: source.size,
        etag: source.etag,
        close: () => source.close(),
        [Symbol.asyncDispose]: () => source.close(),
        read: (offset, length) => {
          reads.push({ name, offset, end: offset + length });
          return source.read(offset, length);
        },
      };
    },
  };
  return { watched, reads };
}

async function proof(store: Store, envelope: Envelope) {
  const manifest = verified(envelope).payload;
  return proveRewrapped({ store, manifest, vault, currentVersions: await versions() });
}

async function bytesOf(store: Store, name: string): Promise<Uint8Array> {
  await using source = await store.source(name);
  return source.read(0, source.size);
}

/** That a reader of that manifest finds all as listed, and that its keys open every file. */
async function readable(store: Store, envelope: Envelope): Promise<void> {
  const accepted = verified(envelope);
  const names: string[] = [];
  for await (const { name } of store.list("")) names.push(name);
  checkListing(accepted, names);
  const { localKeys, files } = accepted.payload;
  const secrets = await vault.unwrapAll(localKeys.map((key) => toUnwrapRequest(key)));
  const keyOf = (id: string) => secrets[localKeys.findIndex((key) => key.id === id)] ?? null;
  for (const file of files) {
    const source = sourceOf(await bytesOf(store, file.name));
    assert.equal(source.size, file.length, file.name);
    if (file.kind === "table") {
      assert.equal(toHex((await readSealedFooter(source)).digest), file.digest, file.name);
      continue;
    }
    const expected = { ...file, datasetId };
    const opened = await openSealedFile({ source, expected, localKeyFor: ({ id }) => keyOf(id) });
    assert.equal((await opened.read(0, opened.size)).byteLength, file.size);
  }
}

test("a re-wrap moves every wrap to the current versions and reads no data page", async () => {
  const { store, envelope } = await sealed();
  const old = verified(envelope).payload;
  assert.equal(await rewrap(store, envelope), null);
  const data = await Promise.all(
    old.files.map(async (file) => {
      const bytes = await bytesOf(store, file.name);
      if (file.kind === "file") return bytes.subarray(SEALED_FILE_HEADER_BYTES);
      return bytes.subarray(0, (await readSealedFooter(sourceOf(bytes))).offset);
    }),
  );
  await vault.rotateKek(idOf("rest"));
  await vault.rotateKek(idOf("secret"));
  assert.equal((await proof(store, envelope)).oldFound.length, 7);
  const { watched, reads } = watch(store);
  const next = await rewrap(watched, envelope);
  assert.ok(next !== null);
  assert.equal(next.manifest.version, 2);
  for (const [index, file] of old.files.entries()) {
    const own = reads.filter((read) => read.name === file.name);
    const pages = data[index] ?? new Uint8Array(0);
    const isData = (read: { readonly offset: number; readonly end: number }) =>
      file.kind === "file"
        ? read.end > SEALED_FILE_HEADER_BYTES
        : read.end > 4 && read.offset < pages.byteLength;
    assert.ok(own.length > 0 && !own.some(isData), file.name);
    const now = await bytesOf(store, next.manifest.files[index]?.name ?? "");
    const kept = file.kind === "file" ? now.subarray(SEALED_FILE_HEADER_BYTES) : now;
    assert.deepEqual(kept.subarray(0, pages.byteLength), pages);
  }
  const found = await proof(store, next.envelope);
  assert.equal(found.objects, 4);
  assert.deepEqual(found.oldFound, []);
  assert.deepEqual(found.notRead, []);
  assert.equal(found.wrapsFound.length, 2);
  assert.match(found.limits, /backups/);
  assert.equal(await rewrap(store, next.envelope), null);
});

test("a re-wrap of one column group leaves the other's wraps as they are", async () => {
  const { store, envelope } = await sealed();
  await vault.rotateKek(idOf("secret"));
  const next = await rewrap(store, envelope);
  assert.ok(next !== null);
  const [rest, secret] = next.manifest.localKeys;
  assert.deepEqual(rest, verified(envelope).payload.localKeys[0]);
  assert.equal(secret?.kekVersion, (await versions()).get(idOf("secret")));
  assert.deepEqual((await proof(store, next.envelope)).oldFound, []);
});

test("T125: a re-wrap that was killed before any of its writes leaves the old version readable, and the next one finishes it", async () => {
  // Two tables, one header, the pending manifest and its place.
  for (const failAt of [1, 2, 3, 4, 5]) {
    const { store, envelope } = await sealed();
    await vault.rotateKek(idOf("rest"));
    const killed = rewrap(watch(store, failAt).watched, envelope);
    await assert.rejects(killed, (error) => isPpmlError(error, "store.io"));
    await readable(store, envelope);
    const next = await rewrap(store, envelope);
    assert.ok(next !== null);
    assert.deepEqual((await proof(store, next.envelope)).oldFound, []);
    for (const file of next.manifest.files.filter((one) => one.kind === "table")) {
      const footer = await readSealedFooter(sourceOf(await bytesOf(store, file.name)));
      assert.equal(toHex(footer.digest), file.digest);
      assert.equal((await store.head(file.name))?.size, file.length);
      assert.ok(footer.kind !== "plaintext" && footer.keyMetadata !== null);
      const wrap = toWrappedLocalKey(parseKeyMaterial(footer.keyMetadata));
      assert.deepEqual({ ...wrap, group: "rest" }, next.manifest.localKeys[0]);
    }
  }
});

test("a file that is neither the manifest's nor a re-wrap of it is refused", async () => {
  const { store, envelope } = await sealed();
  const other = await sealed();
  await vault.rotateKek(idOf("rest"));
  for (const [name, from] of [
    ["v1/a.parquet", other.store],
    ["v1/c.bin", other.store],
  ] as const) {
    const good = await bytesOf(store, name);
    await store.put(name, [await bytesOf(from, name)]);
    await assert.rejects(rewrap(store, envelope), (error) => isPpmlError(error, "open.manifest"));
    await store.put(name, [good]);
  }
  await store.put("v1/a.parquet", [await bytesOf(store, "v1/b.parquet")]);
  await assert.rejects(rewrap(store, envelope), (error) => isPpmlError(error, "open.manifest"));
});
