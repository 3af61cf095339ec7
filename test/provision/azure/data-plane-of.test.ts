import assert from "node:assert/strict";
import { test } from "node:test";
import { dataPlaneOf } from "../../../src/provision/index.ts";
import { FULL, sectionOf, VARIANTS } from "./sections.ts";

const identity = (serviceAccount: string) => ({ namespace: "default", serviceAccount });

test("who may read a directory may read those below it, unless these say otherwise", () => {
  const section = sectionOf({
    identities: { a: identity("a"), b: identity("b") },
    storage: {
      ...FULL.storage,
      directories: {
        "in/deep/er": { writers: ["a"] },
        in: { readers: ["a"], writers: ["b"] },
        "in/deep": { readers: ["b"] },
        into: {},
      },
    },
  });
  const shown = dataPlaneOf(section).directories.map(({ path, readers, writers }) =>
    [path, ...[readers, writers].map((all) => all.map(({ name }) => name).join())].join(" "),
  );
  assert.deepEqual(shown, ["in a b", "in/deep a,b ", "in/deep/er b a", "into  "]);
});

test("secrets are made for a vault and its readers only, and the filesystem in an existing account only", () => {
  const full = dataPlaneOf(sectionOf());
  assert.deepEqual(
    [full.vault, full.secrets],
    ["ppml-demo-vault", ["enclave-key-pem", "key-pass"]],
  );
  assert.equal(full.lake?.isMade, true);
  const hsm = dataPlaneOf(sectionOf({ ...VARIANTS["managedHsm"], identities: FULL.identities }));
  assert.deepEqual([hsm.vault, hsm.secrets], [null, []]);
  const { lake, vault } = dataPlaneOf(sectionOf(VARIANTS["existing"]));
  assert.deepEqual(lake, { account: "oldlake", filesystem: "sealed", isMade: false });
  assert.equal(vault, "corp-vault");
  const none = { ...FULL.identities.spark, secrets: ["other"] };
  assert.deepEqual(dataPlaneOf(sectionOf({ identities: { none } })).secrets, []);
});
