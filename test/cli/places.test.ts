import assert from "node:assert/strict";
import { test } from "node:test";
import { normalPlace, whyNoStore } from "../../src/cli/config/place.ts";

const HOST = "lake1.dfs.core.windows.net";

test("a store is a folder, a file: URI or an abfs[s]: URI, and nothing else", () => {
  for (const place of [
    "sealed/x",
    "/a/b",
    "file:///a/b",
    `abfss://data@${HOST}/x`,
    `abfs://data@${HOST}`,
  ])
    assert.equal(whyNoStore(place), null, place);
  for (const place of ["s3://bucket/x", "file://host/a", "file:///a?b", "https://x/y", "gs://b"])
    assert.match(whyNoStore(place) ?? "", /^expected a folder's path, a local file: URI/, place);
  assert.match(whyNoStore("abfss://data@lake1.blob.core.windows.net/x") ?? "", /^expected a host/);
  assert.match(whyNoStore(`abfss://Data@${HOST}/x`) ?? "", /^a filesystem's name/);
});

test("two ways to write one store are the same store", () => {
  assert.equal(normalPlace("./sealed/x/"), normalPlace("sealed/x"));
  assert.equal(
    normalPlace(`abfs://data@LAKE1.dfs.core.windows.net//x/`),
    normalPlace(`abfss://data@${HOST}/x`),
  );
});
