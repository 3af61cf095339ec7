import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** The public values of the package; types are erased. A change here is a change for users. */
const PUBLIC = [
  "PpmlError",
  "Secret",
  "acceptManifest",
  "isPpmlError",
  "openGrant",
  "openSealedFile",
  "openStore",
  "openTable",
  "parseKekPublicKey",
  "parseReceiptFile",
  "sealDataset",
  "sealFile",
  "verifyLog",
  "verifyReceiptFile",
];

test("the package exports exactly the pinned names", async () => {
  const api: Record<string, unknown> = await import("../src/index.ts");
  assert.deepEqual(Object.keys(api).sort(), [...PUBLIC].sort());
});

test("every stage's index lists names one by one", () => {
  for (const path of globSync("src/**/index.ts"))
    assert.doesNotMatch(readFileSync(path, "utf8"), /export \*/, path);
});
