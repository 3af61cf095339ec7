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

/** What other stages and the command line may use of `provision`. */
const PROVISION = [
  "DEFAULT_DAYS",
  "KEYSTORE_ALIAS",
  "MAX_DAYS",
  "MAX_MADE_CHARACTERS",
  "MIN_MADE_CHARACTERS",
  "PASSWORD_CHARACTERS",
  "PUBLIC_MAX_DAYS",
  "RULES",
  "TLS_FILES",
  "VM_SIZES_DATE",
  "activationCommands",
  "aksId",
  "azureSectionSchema",
  "buildTemplate",
  "checkPassword",
  "checkRules",
  "costItems",
  "dataPlaneOf",
  "demandActivation",
  "demandRules",
  "faultOf",
  "fileSink",
  "hsmGrants",
  "hsmOf",
  "hsmRoleCommand",
  "hsmRoleEndCommand",
  "makeEnclaveKey",
  "makePassword",
  "makeTlsFiles",
  "monthlyCost",
  "mrSignerOf",
  "parsePriceTable",
  "parseServerName",
  "prepareFolder",
  "publishFolder",
  "requirePassword",
  "secretRoles",
  "toTerraform",
  "vmDemand",
  "vmSizeOf",
];

test("provision exports exactly the pinned names", async () => {
  const api: Record<string, unknown> = await import("../src/provision/index.ts");
  assert.deepEqual(Object.keys(api).sort(), PROVISION);
});

test("every stage's index lists names one by one", () => {
  for (const path of globSync("src/**/index.ts"))
    assert.doesNotMatch(readFileSync(path, "utf8"), /export \*/, path);
});
