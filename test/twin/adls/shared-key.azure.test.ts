import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Secret } from "../../../src/base/index.ts";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import { listLake, makeDirectory, makeFilesystem } from "../../../src/store/azure/file-system.ts";
import { parseAbfsUri, placeBelow } from "../../../src/store/azure/uri.ts";
import { ACCOUNT_KEY, LAKE, OWNER, startLake } from "../../store/azure/lake.ts";
import type { Lake } from "../../store/azure/lake.ts";
import { bytes, namesOf, textOf } from "../../store/store-suite.ts";

let lake: Lake;
before(async () => {
  lake = await startLake({ sharedKey: true });
});
after(() => lake.close());

const accessBy = (key: Uint8Array) => ({
  ...lake.accessOf(OWNER),
  sharedKey: Secret.take(Uint8Array.from(key)),
});

describe("an account that allows its key", () => {
  test("takes requests that are signed with it, at both endpoints", async () => {
    const access = accessBy(ACCOUNT_KEY);
    const place = parseAbfsUri(LAKE);
    await makeFilesystem(place, access);
    await makeDirectory(placeBelow(place, "a b/ü"), access, { entries: [], pass: [] });
    const store = openAzureStore(`${LAKE}/a b/ü`, access);
    const { etag } = await store.put("n+m/x y", [bytes("content")], { ifNoneMatch: true });
    assert.equal(await textOf(store, "n+m/x y"), "content");
    // Without a token to give the service for its source, the bytes pass through this process.
    const parts = [{ keep: { offset: 3, length: 4 } }];
    await store.replace("n+m/x y", { ifMatch: etag, parts, as: "other" });
    assert.equal(await textOf(store, "other"), "tent");
    assert.deepEqual(await namesOf(store), ["n+m/x y", "other"]);
    const listed = await listLake(place, access, { recursive: true });
    assert.equal(listed.length, 5);
    assert.ok(!JSON.stringify(lake.seen).includes(Buffer.from(ACCOUNT_KEY).toString("base64")));
  });

  test("refuses another key, and never shows the key that was tried", async () => {
    const other = new Uint8Array(64).fill(8);
    const store = openAzureStore(LAKE, accessBy(other));
    await assert.rejects(store.head("x"), (error: unknown) => {
      assert.ok(error instanceof Error && "code" in error);
      assert.equal(error.code, "azure.denied");
      const key = Buffer.from(other).toString("base64");
      assert.ok(!`${error.stack}${JSON.stringify(error)}`.includes(key));
      return true;
    });
  });
});
