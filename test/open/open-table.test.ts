import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isPpmlError, Secret } from "../../src/base/index.ts";
import type { ManifestFile } from "../../src/format/manifest.ts";
import { parseKeyMaterial, toWrappedLocalKey, unwrapDek } from "../../src/format/parquet/index.ts";
import { openTable } from "../../src/open/index.ts";
import type { TableKeyFor } from "../../src/open/index.ts";
import {
  fileInput,
  makeScratch,
  makeTestKek,
  releaseKeys,
  sealTestDataset,
  writeParquet,
} from "../compute/fixture.ts";
import { sourceOf } from "../format/parquet/tables.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});

type Stored = { readonly file: ManifestFile; readonly bytes: Uint8Array };
const kek = makeTestKek("test/all");
let plain: Uint8Array;
let first: Stored;
let second: Stored;
/** Gives every key of the dataset, and counts how often it was asked. */
let keyFor: TableKeyFor;
let asked = 0;

before(async () => {
  const folder = join(scratch.path, "people");
  const paths = ["a", "b"].map((name) => join(scratch.path, `${name}.parquet`));
  for (const [index, path] of paths.entries())
    await writeParquet(path, `SELECT i AS id, ${index} AS part FROM range(1000) t(i)`);
  const { manifest } = await sealTestDataset({
    folder,
    name: "people",
    datasetId: "00112233445566778899aabbccddeeff",
    groups: [{ name: "all", kek, columns: null }],
    inputs: paths.map((path, index) => fileInput(path, `${index}.parquet`)),
  });
  plain = new Uint8Array(readFileSync(paths[0] ?? ""));
  const stored = manifest.files.map((file) => ({
    file,
    bytes: new Uint8Array(readFileSync(join(folder, file.name))),
  }));
  assert.ok(stored[0] && stored[1]);
  [first, second] = [stored[0], stored[1]];
  const keys = releaseKeys(manifest, [kek]);
  keyFor = (material) => {
    asked += 1;
    const parsed = parseKeyMaterial(material);
    const localKey = keys.get(toWrappedLocalKey(parsed).id)?.key ?? null;
    if (localKey === null || !parsed.doubleWrapping) return Promise.resolve(null);
    const { wrappedDek: wrapped, localKeyId } = parsed;
    return Promise.resolve(unwrapDek({ wrapped, localKeyId, localKey }));
  };
});

const closed: TableKeyFor = () => Promise.resolve(null);
const wrong: TableKeyFor = () => Promise.resolve(Secret.copy(new Uint8Array(32).fill(7)));

async function refused(
  bytes: Uint8Array,
  code: string | RegExp,
  expected = first.file,
): Promise<void> {
  const askedBefore = asked;
  await assert.rejects(
    openTable({ source: sourceOf(bytes), expected, keyFor }),
    (error) =>
      isPpmlError(error) && (code instanceof RegExp ? code.test(error.code) : code === error.code),
  );
  assert.equal(asked, askedBefore, "no key is used for a file that the manifest does not list");
}

test("each table of a dataset opens under its own name", async () => {
  for (const { file, bytes } of [first, second]) {
    const footer = await openTable({ source: sourceOf(bytes), expected: file, keyFor });
    assert.equal(footer.rows, 1000);
  }
});

test("another table of the same dataset and keys in a table's place is refused", async () => {
  await refused(second.bytes, "open.manifest", { ...first.file, length: second.bytes.byteLength });
  await refused(first.bytes, "open.manifest", { ...second.file, length: first.bytes.byteLength });
});

test("a plaintext Parquet file in a sealed table's place is refused as such", async () => {
  await refused(plain, "open.plaintext");
  const sameLength = { ...first.file, length: plain.byteLength };
  await refused(plain, "open.plaintext", sameLength);
});

test("a table of another length than the manifest lists is refused", async () => {
  const { bytes, file } = first;
  await refused(bytes, "open.manifest", { ...file, length: file.length + 1 });
  const longer = new Uint8Array(bytes.byteLength + 4);
  longer.set(bytes.subarray(0, 4));
  longer.set(bytes, 4);
  await refused(longer, "open.manifest");
});

test("a footer that differs in one bit from the listed one is refused before any key is used", async () => {
  const { bytes } = first;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.byteLength - 8, true);
  // Its beginning is in the clear and has to be parsed to find its end: that may fail first.
  for (let back = length + 8; back > 8; back -= 1)
    for (const bit of [1, 128]) {
      const changed = Uint8Array.from(bytes);
      const at = bytes.byteLength - back;
      changed[at] = (changed[at] ?? 0) ^ bit;
      await refused(changed, /^(?:open\.manifest|format\.[a-z_]+)$/);
    }
});

test("a key that was not released leaves the table closed", async () => {
  await assert.rejects(
    openTable({ source: sourceOf(first.bytes), expected: first.file, keyFor: closed }),
    { code: "open.no_key" },
  );
  await assert.rejects(
    openTable({ source: sourceOf(first.bytes), expected: first.file, keyFor: wrong }),
    { code: "open.not_authentic" },
  );
});
