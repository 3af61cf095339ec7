import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { concatBytes } from "../../src/base/index.ts";
import { FIXED_PART_BYTES, parseSealedFileHeader } from "../../src/format/sealed-file/header.ts";
import { SEALED_FILE_HEADER_BYTES } from "../../src/format/sealed-file/header.ts";
import { segmentCapacity } from "../../src/format/sealed-file/tink-segments.ts";
import { unwrapFileDek } from "../../src/format/sealed-file/unwrap-file-dek.ts";
import { open } from "../open/open-sample.ts";
import { collect, makeSample } from "../seal/sealed-sample.ts";
import type { Sample } from "../seal/sealed-sample.ts";
import { makeFolder, python } from "./python.ts";
import type { Folder } from "./python.ts";

const FIRST = segmentCapacity(0);
const SECOND = FIRST + segmentCapacity(1);
const SIZES = [0, 1, FIRST - 1, FIRST, FIRST + 1, SECOND - 1, SECOND, SECOND + 1, 5 * 1024 * 1024];

const samples: Sample[] = [];
for (const size of SIZES) samples.push(await makeSample(new Uint8Array(randomBytes(size))));

test("Tink for Python opens what we sealed, at every size around a segment's border", () => {
  using folder = makeFolder();
  const cases = samples.map((sample, index) =>
    caseOf(folder, { sample, index, input: sample.bytes.subarray(SEALED_FILE_HEADER_BYTES) }),
  );
  assert.deepEqual(
    runTink(folder, "open", cases),
    SIZES.map(() => "done"),
  );
  for (const [index, { output }] of cases.entries())
    assert.ok(samples[index]?.plaintext && readFileSync(output).equals(samples[index].plaintext));
});

test("Tink for Python refuses a changed stream, a cut one, and another file's associated data", () => {
  using folder = makeFolder();
  const sample = samples.at(-1) ?? assert.fail();
  const stream = sample.bytes.subarray(SEALED_FILE_HEADER_BYTES);
  const changed = Uint8Array.from(stream);
  changed[3_000_000] = (changed[3_000_000] ?? 0) ^ 1;
  const cut = stream.subarray(0, 2 * 1024 * 1024);
  const [first, second, third] = [changed, cut, stream].map((input, index) =>
    caseOf(folder, { sample, index, input }),
  );
  assert.ok(first && second && third);
  const moved = { ...third, associatedData: folder.write("other", randomBytes(128)) };
  const outcomes = runTink(folder, "open", [first, second, moved]);
  assert.equal(outcomes.length, 3);
  for (const outcome of outcomes) assert.match(String(outcome), /^refused: /);
});

test("we open what Tink for Python encrypted under our header", async () => {
  using folder = makeFolder();
  const cases = samples.map((sample, index) =>
    caseOf(folder, { sample, index, input: sample.plaintext }),
  );
  assert.deepEqual(
    runTink(folder, "seal", cases),
    SIZES.map(() => "done"),
  );
  for (const [index, sample] of samples.entries()) {
    const stream = new Uint8Array(readFileSync(cases[index]?.output ?? ""));
    const header = sample.bytes.subarray(0, SEALED_FILE_HEADER_BYTES);
    const opened = await open(concatBytes(header, stream), { of: sample });
    assert.ok(Buffer.from(sample.plaintext).equals(await collect(opened.stream())));
  }
});

type Case = Readonly<Record<"dek" | "associatedData" | "input" | "output", string>>;

function caseOf(
  folder: Folder,
  of: { readonly sample: Sample; readonly index: number; readonly input: Uint8Array },
): Case {
  const { sample, index, input } = of;
  const header = parseSealedFileHeader(sample.bytes.subarray(0, SEALED_FILE_HEADER_BYTES));
  using dek = unwrapFileDek(header, sample.localKey.key);
  return {
    dek: dek.expose((bytes) => folder.write(`${index}.dek`, bytes)),
    associatedData: folder.write(`${index}.ad`, sample.bytes.subarray(0, FIXED_PART_BYTES)),
    input: folder.write(`${index}.in`, input),
    output: folder.path(`${index}.out`),
  };
}

function runTink(folder: Folder, direction: "open" | "seal", cases: readonly Case[]): unknown[] {
  const outcomes = python("files.py", direction, folder.write("cases", JSON.stringify(cases)));
  assert.ok(Array.isArray(outcomes));
  return outcomes;
}
