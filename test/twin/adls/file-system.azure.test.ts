import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DataLakeServiceClient, newPipeline } from "@azure/storage-file-datalake";
import type { DataLakeFileSystemClient } from "@azure/storage-file-datalake";
import { containerOf } from "../../../src/store/azure/access.ts";
import { jobEntries, parseAclEntries, passEntry } from "../../../src/store/azure/acl.ts";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import {
  listLake,
  lookAt,
  makeDirectory,
  makeFilesystem,
  removePath,
} from "../../../src/store/azure/file-system.ts";
import { storageHttpClient } from "../../../src/store/azure/http-client.ts";
import { parseAbfsUri, placeBelow } from "../../../src/store/azure/uri.ts";
import { ACCOUNT, JOB, LAKE, OWNER, READER, startLake } from "../../store/azure/lake.ts";
import type { Lake } from "../../store/azure/lake.ts";
import { bytes, namesOf, textOf } from "../../store/store-suite.ts";

let lake: Lake;
const place = parseAbfsUri(LAKE);
before(async () => {
  lake = await startLake();
});
after(() => lake.close());

function sdk(objectId: string): DataLakeFileSystemClient {
  const access = lake.accessOf(objectId);
  const pipeline = newPipeline(access.credential, {
    httpClient: storageHttpClient(lake.httpClient),
    retryOptions: { maxTries: 1 },
  });
  const service = new DataLakeServiceClient(`https://${ACCOUNT}.dfs.core.windows.net`, pipeline);
  return service.getFileSystemClient(place.filesystem);
}

describe("filesystems, directories and ACLs", () => {
  test("a filesystem and directories are made once, and found the second time", async () => {
    const access = lake.accessOf(OWNER);
    assert.equal(await makeFilesystem(place, access), true);
    assert.equal(await makeFilesystem(place, access), false);
    const none = { entries: [], pass: [] };
    const directory = placeBelow(place, "in/flights");
    assert.equal(await lookAt(directory, access), null);
    assert.equal(await makeDirectory(directory, access, none), "made");
    assert.equal(await makeDirectory(directory, access, none), "there");
    assert.equal(await lookAt(directory, access), "directory");
    const store = openAzureStore(directory.uri, access);
    await store.put("a.csv", [bytes("a")]);
    assert.equal(await lookAt(placeBelow(directory, "a.csv"), access), "file");
    await assert.rejects(makeDirectory(placeBelow(directory, "a.csv"), access, none), {
      code: "store.name",
    });
    const listed = await listLake(placeBelow(place, "in"), access, { recursive: true });
    assert.deepEqual(
      listed.map(({ path, isDirectory, size }) => [path, isDirectory, size]),
      [
        ["in/flights", true, 0],
        ["in/flights/a.csv", false, 1],
      ],
    );
    assert.match(listed[0]?.permissions ?? "", /^rwxr-x---$/);
    const flat = await listLake(place, access, { recursive: false });
    assert.deepEqual(
      flat.map(({ path }) => path),
      ["in"],
    );
  });

  test("a job reads and writes where its directory's ACL lets it, and nowhere else", async () => {
    const access = lake.accessOf(OWNER);
    const directory = placeBelow(place, "jobs/one");
    await makeDirectory(directory, access, {
      entries: jobEntries(JOB, "write"),
      pass: [passEntry(JOB)],
    });
    await makeDirectory(placeBelow(place, "jobs/two"), access, { entries: [], pass: [] });
    const mine = openAzureStore(directory.uri, lake.accessOf(JOB));
    await mine.put("deep/result", [bytes("result")]);
    assert.equal(await textOf(mine, "deep/result"), "result");
    assert.deepEqual(await namesOf(mine), ["deep/result"]);
    const others = openAzureStore(placeBelow(place, "jobs/two").uri, lake.accessOf(JOB));
    await assert.rejects(others.put("x", [bytes("x")]), { code: "azure.denied" });
    await assert.rejects(namesOf(others), { code: "azure.denied" });
    await assert.rejects(namesOf(openAzureStore(LAKE, lake.accessOf(JOB))), {
      code: "azure.denied",
    });
    await assert.rejects(makeFilesystem(placeBelow(place, "x"), lake.accessOf(JOB)), {
      code: "azure.denied",
    });
    // What the owner puts there later, the job may read by the default entries.
    await openAzureStore(directory.uri, access).put("later", [bytes("later")]);
    assert.equal(await textOf(mine, "later"), "later");
    const reading = openAzureStore(directory.uri, lake.accessOf(READER));
    await assert.rejects(reading.source("later"), { code: "azure.denied" });
    await makeDirectory(directory, access, {
      entries: jobEntries(READER, "read"),
      pass: [passEntry(READER)],
    });
    await assert.rejects(reading.put("x", [bytes("x")]), { code: "azure.denied" });
    assert.deepEqual(await namesOf(reading), ["deep/result", "later"]);
  });

  test("passing through a directory takes nothing from who may read it, and a second time changes nothing", async () => {
    const access = lake.accessOf(OWNER);
    const above = placeBelow(place, "both");
    const below = placeBelow(place, "both/below");
    const read = { entries: jobEntries(READER, "read"), pass: [passEntry(READER)] };
    const write = { entries: jobEntries(READER, "write"), pass: [passEntry(READER)] };
    assert.equal(await makeDirectory(above, access, read), "made");
    assert.equal(await makeDirectory(below, access, write), "made");
    await openAzureStore(above.uri, access).put("a", [bytes("a")]);
    const reading = openAzureStore(above.uri, lake.accessOf(READER));
    assert.deepEqual(await namesOf(reading), ["a"]);
    assert.equal(await makeDirectory(above, access, read), "there");
    assert.equal(await makeDirectory(below, access, write), "there");
    assert.equal(await makeDirectory(above, access, write), "changed");
  });

  test("a mask bounds what named identities may do", async () => {
    const access = lake.accessOf(OWNER);
    const directory = placeBelow(place, "masked");
    const entries = [
      ...jobEntries(JOB, "write"),
      ...parseAclEntries("mask::r-x,default:mask::r-x"),
    ];
    await makeDirectory(directory, access, { entries, pass: [passEntry(JOB)] });
    const store = openAzureStore(directory.uri, lake.accessOf(JOB));
    assert.deepEqual(await namesOf(store), []);
    await assert.rejects(store.put("x", [bytes("x")]), { code: "azure.denied" });
  });

  test("only an owner changes who may what", async () => {
    const directory = placeBelow(place, "jobs/one");
    const change = { entries: jobEntries(READER, "write"), pass: [] };
    await assert.rejects(makeDirectory(directory, lake.accessOf(JOB), change), {
      code: "azure.denied",
    });
  });

  test("entries that are no ACL are refused before anything is asked", () => {
    for (const text of [
      "",
      "user",
      "user:bob:r-x",
      "user::rw",
      "other:x:r--",
      "user::rwx:",
      "role::rwx",
      "user::rwx,user::r-x",
    ])
      assert.throws(() => parseAclEntries(text), { code: "cli.usage" }, text);
  });

  test("a directory goes with all below it, and only where that is said", async () => {
    const access = lake.accessOf(OWNER);
    const directory = placeBelow(place, "in");
    await assert.rejects(removePath(directory, access, { recursive: false }), {
      code: "store.name",
    });
    await removePath(directory, access, { recursive: true });
    assert.equal(await lookAt(directory, access), null);
    assert.deepEqual(await namesOf(openAzureStore(directory.uri, access)), []);
    await assert.rejects(removePath(directory, access, { recursive: true }), {
      code: "store.not_found",
    });
  });
});

describe("the double of the Data Lake endpoint", () => {
  test("takes what the SDK appends and flushes, and what it renames", async () => {
    const filesystem = sdk(OWNER);
    const file = filesystem.getFileClient("raw/a.txt");
    await file.create();
    await file.append("hello, ", 0, 7);
    await file.append("world", 7, 5);
    await file.flush(12);
    await file.append("!", 12, 1);
    await file.flush(13);
    await assert.rejects(file.flush(99), { code: "InvalidFlushPosition" });
    const store = openAzureStore(LAKE, lake.accessOf(OWNER));
    assert.equal(await textOf(store, "raw/a.txt"), "hello, world!");
    await filesystem.getDirectoryClient("raw").move("done/raw");
    assert.equal(await textOf(store, "done/raw/a.txt"), "hello, world!");
    assert.equal(await store.head("raw/a.txt"), null);
    await assert.rejects(filesystem.getDirectoryClient("done").move("done/raw/below"), {
      statusCode: 409,
    });
  });

  test("lists page by page, and changes ACLs of a whole tree", async () => {
    const filesystem = sdk(OWNER);
    for (const name of ["tree/a", "tree/b/c", "tree/d"])
      await filesystem.getFileClient(name).create();
    const names: string[] = [];
    for await (const page of filesystem
      .listPaths({ path: "tree", recursive: true })
      .byPage({ maxPageSize: 2 }))
      for (const item of page.pathItems ?? []) names.push(item.name ?? "");
    assert.deepEqual(names, ["tree/a", "tree/b", "tree/b/c", "tree/d"]);
    const tree = filesystem.getDirectoryClient("tree");
    const entry = {
      accessControlType: "user",
      entityId: JOB,
      defaultScope: false,
      permissions: { read: true, write: false, execute: true },
    } as const;
    const { counters } = await tree.updateAccessControlRecursive([entry], { batchSize: 2 });
    assert.equal(counters.changedFilesCount + counters.changedDirectoriesCount, 5);
    const { acl } = await filesystem.getFileClient("tree/b/c").getAccessControl();
    assert.ok(acl.some(({ entityId }) => entityId === JOB));
    await tree.removeAccessControlRecursive([
      { accessControlType: "user", entityId: JOB, defaultScope: false },
    ]);
    const changed = await filesystem.getFileClient("tree/b/c").getAccessControl();
    assert.ok(!changed.acl.some(({ entityId }) => entityId === JOB));
  });

  test("refuses ACLs that are none, with the service's code", async () => {
    const client = sdk(OWNER).getFileClient("tree/a");
    const file = { accessControlType: "user", entityId: "", defaultScope: true } as const;
    const permissions = { read: true, write: false, execute: true };
    await assert.rejects(client.setAccessControl([{ ...file, permissions }]), { statusCode: 400 });
  });

  test("an account that ARM does not have, and one without keys, are refused", async () => {
    const absent = parseAbfsUri("abfss://data@nosuchaccount.dfs.core.windows.net");
    await assert.rejects(makeFilesystem(absent, lake.accessOf(OWNER)), { code: "store.not_found" });
    const { Secret } = await import("../../../src/base/index.ts");
    using sharedKey = Secret.take(new Uint8Array(64).fill(7));
    const access = { ...lake.accessOf(OWNER), sharedKey };
    await assert.rejects(containerOf(place, access).getProperties(), {
      code: "KeyBasedAuthenticationNotPermitted",
    });
  });
});
