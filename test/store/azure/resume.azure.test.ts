import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { RestError } from "@azure/core-rest-pipeline";
import { sealDataset } from "../../../src/seal/index.ts";
import type { JournalKey, SealedInput, SealInput } from "../../../src/seal/index.ts";
import { containerOf } from "../../../src/store/azure/access.ts";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import { parseAbfsUri } from "../../../src/store/azure/uri.ts";
import { makeTestKek, OWNER as SIGNER, sureAuthority } from "../../compute/fixture.ts";
import { sourceOf } from "../../format/parquet/tables.ts";
import { LAKE, OWNER, startLake } from "./lake.ts";
import type { Lake } from "./lake.ts";

let lake: Lake;
before(async () => {
  lake = await startLake();
  await containerOf(parseAbfsUri(LAKE), lake.accessOf(OWNER)).create();
});
after(() => lake.close());
afterEach(() => {
  lake.fault = null;
});

const kek = makeTestKek("vault/files").publicKey;
const content = new Uint8Array(randomBytes(300_000));
const inputs: readonly SealInput[] = Array.from({ length: 12 }, (_, i) => ({
  name: `f${i}`,
  kind: "file",
  open: async () => ({
    ...sourceOf(content),
    etag: String(i),
    [Symbol.asyncDispose]: async () => undefined,
  }),
}));

test("a network that drops in mid-upload is told as such, and running again finishes the rest alone", async () => {
  const entries = new Map<string, SealedInput>();
  const journal = {
    find: ({ name }: JournalKey) => entries.get(name) ?? null,
    add: async ({ name }: JournalKey, done: SealedInput) => void entries.set(name, done),
  };
  const seal = () =>
    sealDataset({
      store: openAzureStore(`${LAKE}/in`, lake.accessOf(OWNER)),
      datasetId: "5a".repeat(16),
      name: "files",
      version: 1,
      groups: [{ name: "all", columns: null, kek }],
      inputs,
      signer: SIGNER,
      authority: sureAuthority(),
      nowMs: Date.UTC(2026, 0, 1),
      valuesInPaths: "refuse",
      journal,
    });
  // The cable is pulled when five files are there, and every request from then on is lost.
  lake.fault = (request) =>
    entries.size < 5
      ? null
      : Promise.reject(new RestError("socket hang up", { code: "ECONNRESET", request }));
  await assert.rejects(seal(), { code: "azure.unreachable", message: /check the network/ });
  const finished = [...entries.keys()];
  assert.ok(finished.length >= 5 && finished.length < 12);

  lake.fault = null;
  lake.seen.length = 0;
  const { manifest } = await seal();
  assert.equal(manifest.files.length, 12);
  const uploaded = lake.seen.filter(({ method }) => method === "PUT").map(({ url }) => url);
  for (const name of finished)
    assert.ok(!uploaded.some((url) => url.includes(`/in/v1/${name}?`)), name);
  assert.ok(uploaded.some((url) => url.includes("/in/v1/f11?")));
});
