import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPpmlError } from "../../../src/base/index.ts";
import { parseAbfsUri } from "../../../src/store/azure/uri.ts";
import { openStore } from "../../../src/store/index.ts";

const HOST = "account1.dfs.core.windows.net";

describe("abfs URIs", () => {
  test("name a filesystem, an account and a path, in one normal form", () => {
    const place = parseAbfsUri(`ABFS://data@Account1.DFS.core.windows.net//2026/Flights ü%20/`);
    assert.deepEqual(place, {
      account: "account1",
      filesystem: "data",
      path: "2026/Flights ü%20",
      suffix: "core.windows.net",
      uri: `abfss://data@${HOST}/2026/Flights ü%20`,
    });
    assert.equal(parseAbfsUri(`abfss://data@${HOST}`).uri, `abfss://data@${HOST}`);
    assert.equal(parseAbfsUri(`abfss://data@${HOST}/`).path, "");
    for (const suffix of ["core.chinacloudapi.cn", "core.usgovcloudapi.net"])
      assert.equal(parseAbfsUri(`abfss://data@account1.dfs.${suffix}/x`).suffix, suffix);
  });

  test("that are wrong say what is wrong and how to write them", () => {
    for (const [uri, why] of [
      ["abfss://data", /expected the form/],
      [`abfss://${HOST}/data`, /expected the form/],
      ["abfss://data@account1.blob.core.windows.net/x", /expected a host/],
      ["abfss://data@account1.dfs.core.windows.net.evil.example/x", /expected a host/],
      ["abfss://data@ac.dfs.core.windows.net/x", /3 to 24/],
      [`abfss://data:secret@${HOST}/x`, /filesystem's name/],
      [`abfss://da@${HOST}/x`, /filesystem's name/],
      [`abfss://Data@${HOST}/x`, /filesystem's name/],
      [`abfss://da--ta@${HOST}/x`, /filesystem's name/],
      [`abfss://${"d".repeat(64)}@${HOST}/x`, /filesystem's name/],
      [`abfss://data@${HOST}/a/../b`, /'\.\.'/],
      [`abfss://data@${HOST}/a//b`, /empty/],
      [`abfss://data@${HOST}/a?sig=x`, /no .*'\?'/],
      [`abfss://data@${HOST}/a\\b`, /no '\\'/],
      [`abfss://data@${HOST}/a\u0001`, /control/],
      [`abfss://data@${HOST}/a./b`, /ends with '\.'/],
      [`abfss://data@${HOST}/${"x/".repeat(300)}`, /at most 512/],
    ] as const)
      assert.throws(
        () => parseAbfsUri(uri),
        (error: unknown) => isPpmlError(error, "store.name") && why.test(error.message),
        uri,
      );
  });

  test("open nothing where nobody is named who may ask", async () => {
    await assert.rejects(openStore(`abfss://data@${HOST}/x`), { code: "store.name" });
  });
});
