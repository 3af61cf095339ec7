import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { ManifestFloor } from "../../src/format/grant.ts";
import { signingKeyOf } from "../../src/format/jwk.ts";
import { manifestRoot } from "../../src/format/manifest.ts";
import type { Manifest, ManifestFile } from "../../src/format/manifest.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import { acceptManifest, checkListing, checkStored } from "../../src/open/index.ts";

const newKey = () => signingKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
const owner = newKey();
const FILE: ManifestFile = {
  name: "v3/a.parquet",
  kind: "table",
  fileId: "00".repeat(16),
  length: 12,
  size: 1,
  digest: "ab".repeat(32),
};

function manifestOf(changes: Partial<Manifest> = {}): Manifest {
  const files = changes.files ?? [FILE];
  return {
    v: 1,
    datasetId: "11".repeat(16),
    name: "people",
    version: 3,
    createdAt: "2026-01-01T00:00:00Z",
    files,
    localKeys: [],
    groups: [{ name: "all", kekId: "vault/one", columns: null }],
    schema: null,
    merkleRoot: manifestRoot(files),
    ...changes,
  };
}

const good = signObject("manifest", manifestOf(), owner);
const floor: ManifestFloor = {
  datasetId: "11".repeat(16),
  minVersion: 3,
  minDigest: envelopeDigest(good),
  signers: [owner.publicJwk],
};

const bytesOf = (text: string, size: number) => ({
  size,
  read: (offset: number, length: number) =>
    Promise.resolve(
      new Uint8Array(Buffer.from(text.padEnd(size)).subarray(offset, offset + length)),
    ),
});

test("the manifest that the release names is accepted, and a newer one of the owner", () => {
  assert.equal(acceptManifest(good, floor).payload.version, 3);
  const newer = signObject("manifest", manifestOf({ version: 4 }), owner);
  assert.equal(acceptManifest(newer, floor).payload.version, 4);
});

test("a manifest of another signer is refused", () => {
  assert.throws(() => acceptManifest(signObject("manifest", manifestOf(), newKey()), floor), {
    code: "format.signature",
  });
});

test("a changed manifest under the old signature is refused", () => {
  const { payload } = signObject("manifest", manifestOf({ version: 9 }), owner);
  assert.throws(() => acceptManifest({ ...good, payload }, floor), { code: "format.signature" });
});

test("an older manifest is refused as rolled back", () => {
  const older = signObject("manifest", manifestOf({ version: 2 }), owner);
  assert.throws(() => acceptManifest(older, floor), { code: "open.rolled_back" });
});

test("another manifest of the lowest version is refused, whoever of the signers signed it", () => {
  const other = signObject("manifest", manifestOf({ createdAt: "2026-01-02T00:00:00Z" }), owner);
  assert.throws(() => acceptManifest(other, floor), { code: "open.manifest" });
});

test("the manifest of another dataset is refused", () => {
  const other = signObject("manifest", manifestOf({ datasetId: "22".repeat(16) }), owner);
  assert.throws(() => acceptManifest(other, floor), { code: "open.manifest" });
});

test("a manifest whose Merkle root is not that of its files is refused", () => {
  const forged = manifestOf({ version: 4, merkleRoot: "00".repeat(32) });
  assert.throws(() => acceptManifest(signObject("manifest", forged, owner), floor), {
    code: "format.invalid",
  });
});

const fileOf = (name: string): ManifestFile => ({
  ...FILE,
  name: `v4/${name}.parquet`,
  fileId: `0${name}`.repeat(16),
});

test("of several tables each is one of the files, under a name of its own; otherwise the manifest is refused", () => {
  const schema = [{ name: "n", type: "BIGINT" }];
  const files = ["a", "b"].map(fileOf);
  const tables = ["a", "b"].map((name) => ({ name, file: `v4/${name}.parquet`, schema }));
  const accept = (changes: Partial<Manifest>): void => {
    const manifest = manifestOf({ version: 4, files, tables, ...changes });
    acceptManifest(signObject("manifest", manifest, owner), floor);
  };
  accept({});
  const [a, b] = tables;
  assert.ok(a !== undefined && b !== undefined);
  for (const changes of [
    { tables: [a] },
    { tables: [a, { ...b, name: "A" }] },
    { tables: [a, { ...b, file: a.file }] },
    { tables: [a, { ...b, file: "v4/c.parquet" }] },
    { tables: [a, b, { ...b, name: "c", file: "v4/c.parquet" }] },
    { tables: [a, { ...b, name: "../b" }] },
    { schema },
    { files: files.slice(0, 1) },
    { files: [...files, fileOf("c")] },
    { files: [fileOf("a"), { ...fileOf("b"), kind: "file" as const }] },
  ])
    assert.throws(() => accept(changes), { code: "format.invalid" }, JSON.stringify(changes));
});

test("a missing and an added file are refused", () => {
  const manifest = { payload: manifestOf(), digest: envelopeDigest(good) };
  checkListing(manifest, ["manifest.json", "receipt.json", FILE.name]);
  assert.throws(() => checkListing(manifest, ["manifest.json"]), { code: "open.manifest" });
  assert.throws(() => checkListing(manifest, [FILE.name, "v3/b.parquet"]), {
    code: "open.manifest",
  });
});

test("files of a higher version, which a sealing writes meanwhile, are passed over", () => {
  const manifest = { payload: manifestOf(), digest: envelopeDigest(good) };
  checkListing(manifest, ["manifest.json", FILE.name, "v4/a.parquet", "v10/deep/b.parquet"]);
  assert.throws(() => checkListing(manifest, ["manifest.json", "v4/a.parquet"]), {
    code: "open.manifest",
  });
});

test("a file added at the top, in the manifest's or an older version's folder, or in one of another form is refused", () => {
  const manifest = { payload: manifestOf(), digest: envelopeDigest(good) };
  for (const added of [
    "a.parquet",
    "v4",
    "v3/b.parquet",
    "v2/a.parquet",
    "v0/a.parquet",
    "v04/a.parquet",
    "V4/a.parquet",
    "x/v4/a.parquet",
    "v4x/a.parquet",
    "v-4/a.parquet",
    `v${"9".repeat(16)}/a.parquet`,
  ])
    assert.throws(
      () => checkListing(manifest, ["manifest.json", FILE.name, added]),
      { code: "open.manifest" },
      added,
    );
});

test("a renamed file is refused, whether or not its old name still exists", () => {
  const manifest = { payload: manifestOf(), digest: envelopeDigest(good) };
  for (const stored of [["v3/b.parquet"], [FILE.name, "v3/b.parquet"], ["v3/A.parquet"]])
    assert.throws(() => checkListing(manifest, ["manifest.json", ...stored]), {
      code: "open.manifest",
    });
});

test("a plaintext, a cut and an extended file are refused before any key is used", async () => {
  await checkStored(FILE, bytesOf("PARE", 12));
  await assert.rejects(checkStored(FILE, bytesOf("PAR1", 12)), { code: "open.plaintext" });
  await assert.rejects(checkStored(FILE, bytesOf("", 0)), { code: "open.plaintext" });
  for (const size of [11, 13])
    await assert.rejects(checkStored(FILE, bytesOf("PARE", size)), { code: "open.manifest" });
  await assert.rejects(checkStored({ ...FILE, kind: "file" }, bytesOf("name,age", 12)), {
    code: "open.plaintext",
  });
});
