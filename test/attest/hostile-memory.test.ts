import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";

const SIDE = join(import.meta.dirname, "hostile-memory-side.ts");
/** Copies, and small objects for the shortest values. */
const BYTES_A_BYTE = 40;
/** Errors with their stacks, what is compiled or made when it is first used. */
const FIXED_BYTES = 256 * 1024;

const lineSchema = z.strictObject({
  what: z.string(),
  parser: z.string(),
  length: z.number(),
  allocated: z.number(),
  outcome: z.string(),
});

test("T137: memory is bounded by the input's size, whatever hostile bytes say of lengths, depth and counts", async () => {
  const flags = ["--expose-gc", "--min-semi-space-size=512", "--max-semi-space-size=512"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, SIDE], {
    maxBuffer: 1 << 24,
  });
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 5 * 14 * 14);
  for (const line of lines) {
    const { what, parser, length, allocated, outcome } = lineSchema.parse(JSON.parse(line));
    const bound = BYTES_A_BYTE * length + FIXED_BYTES;
    assert.ok(allocated <= bound, `${parser}, ${what} of ${length}: ${allocated} bytes`);
    assert.match(outcome, /^(?:read|attest\.\w+|base\.\w+)$/, `${parser}, ${what} of ${length}`);
  }
});
