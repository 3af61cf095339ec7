import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { addFault } from "../../../src/twin/front/faults.ts";
import { storageAccountKeys } from "../../../src/twin/adls/service.ts";
import type { Twin } from "../../../src/twin/start.ts";
import { runInTwin, runningTwin } from "../running.ts";
import { makeAccount, takeRoles } from "./account.ts";

let twin: Twin & { readonly log: string[] };
before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  makeAccount(twin, { account: "lake1", sharedKey: false });
});

const SDK = `
  import { DefaultAzureCredential } from "@azure/identity";
  import { BlobServiceClient } from "@azure/storage-blob";
  import { DataLakeServiceClient } from "@azure/storage-file-datalake";
  const credential = new DefaultAzureCredential();
  const blobs = new BlobServiceClient("https://lake1.blob.core.windows.net", credential);
  const lake = new DataLakeServiceClient("https://lake1.dfs.core.windows.net", credential);
  const files = lake.getFileSystemClient("data");
  const told = (error) => console.log(error.statusCode, error.code);`;

describe("official storage SDKs, unmodified, through the proxy", () => {
  test("upload, list, set ACLs, rename and read by their login", async () => {
    const { code, stdout, stderr } = await runInTwin(
      twin,
      `${SDK}
       await files.create();
       await files.getDirectoryClient("in/a").create({ permissions: "0750" });
       const blob = blobs.getContainerClient("data").getBlockBlobClient("in/a/x.bin");
       await blob.uploadData(Buffer.alloc(9_000_000, 1), { blockSize: 4_000_000, concurrency: 4 });
       for await (const { name, isDirectory } of files.listPaths({ recursive: true }))
         console.log(name, isDirectory);
       await files.getDirectoryClient("in/a").move("done");
       console.log((await files.getFileClient("done/x.bin").readToBuffer()).length);`,
    );
    assert.equal(code, 0, stderr);
    const lines = ["in true", "in/a true", "in/a/x.bin false", "9000000"];
    assert.equal(stdout.trim(), lines.join("\n"));
  });

  test("are refused where the role was taken away, by the next request", async () => {
    const roles = takeRoles(twin);
    try {
      const { stdout } = await runInTwin(
        twin,
        `${SDK} await blobs.getContainerClient("data").getBlobClient("done/x.bin").download().catch(told);
         await files.create().catch(told);`,
      );
      assert.match(
        stdout,
        /^403 AuthorizationPermissionMismatch\n403 AuthorizationPermissionMismatch$/m,
      );
    } finally {
      roles.restore();
    }
  });

  test("meet faults on demand, and an account's key only where it is allowed", async () => {
    const { state } = twin.base;
    for (const service of ["blob", "dfs"])
      addFault(
        state,
        { service, method: "*", path: "lake1", status: 503, remaining: 1, retryAfterSeconds: 0 },
        Date.now(),
      );
    const [key = ""] = storageAccountKeys(twin.base, "/subscriptions/x/lake1");
    const { stdout } = await runInTwin(
      twin,
      `${SDK}
       import { StorageSharedKeyCredential } from "@azure/storage-blob";
       console.log((await files.exists()));
       const byKey = new BlobServiceClient(blobs.url, new StorageSharedKeyCredential("lake1", process.env.KEY));
       await byKey.getContainerClient("data").getProperties().catch(told);`,
      { KEY: key },
    );
    assert.equal(stdout.trim(), "true\n403 KeyBasedAuthenticationNotPermitted");
  });
});
