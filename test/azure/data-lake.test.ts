import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeScratch } from "../compute/fixture.ts";
import { makeAccount, takeRoles } from "../twin/adls/account.ts";
import { runInTwin, runningTwin } from "../twin/running.ts";
import type { Twin } from "../../src/twin/start.ts";
import { ACCOUNT, LAKE, makeLakeProject } from "../e2e/lake-project.ts";
import type { LakeProject } from "../e2e/lake-project.ts";
import { filesWith } from "../e2e/project.ts";

const CANARY = "CANARY-THAT-STAYS-AT-HOME";
const JOB = "aaaaaaaa-0000-4000-8000-000000000003";

const scratch = makeScratch();
let twin: Twin & { readonly log: string[] };
let project: LakeProject;
before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  makeAccount(twin, { account: ACCOUNT, sharedKey: false });
  project = await makeLakeProject({ folder: scratch.path, twin, canary: CANARY, fileCount: 12 });
});
after(() => scratch[Symbol.dispose]());

/** Names and etags of what is stored below a prefix. */
async function stored(prefix: string): Promise<Record<string, string>> {
  const { stdout, stderr, code } = await runInTwin(
    twin,
    `import { DefaultAzureCredential } from "@azure/identity";
     import { BlobServiceClient } from "@azure/storage-blob";
     const service = new BlobServiceClient("https://${ACCOUNT}.blob.core.windows.net", new DefaultAzureCredential());
     const found = {};
     for await (const { name, properties } of service.getContainerClient("data").listBlobsFlat({ prefix: "${prefix}" }))
       if (properties.contentLength > 0) found[name] = properties.etag;
     console.log(JSON.stringify(found));`,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

/** Runs lines over the blob client of the filesystem: what whoever has the storage could do. */
async function tamper(lines: string): Promise<void> {
  const { stderr, code } = await runInTwin(
    twin,
    `import { DefaultAzureCredential } from "@azure/identity";
     import { BlobServiceClient } from "@azure/storage-blob";
     const service = new BlobServiceClient("https://${ACCOUNT}.blob.core.windows.net", new DefaultAzureCredential());
     const container = service.getContainerClient("data");
     const read = (name) => container.getBlockBlobClient(name).downloadToBuffer();
     const write = (name, bytes) => container.getBlockBlobClient(name).uploadData(bytes);
     ${lines}`,
  );
  assert.equal(code, 0, stderr);
}

describe("data commands over a data lake", () => {
  test("what is wrong is told before anything is sent, and a missing filesystem with its command", async () => {
    for (const [args, why] of [
      [["data", "mkfs", "abfss://UPPER@lake1.dfs.core.windows.net"], /filesystem's name/],
      [["data", "mkdir", LAKE], /name a directory/],
      [["data", "mkdir", `${LAKE}/x`, "--reader", "bob"], /object id/],
      [["data", "rm", LAKE], /not all of it/],
      [["data", "put", "data/files", "files"], /add -r/],
      [
        ["data", "put", "-r", "data/files", `${LAKE}/elsewhere`],
        /no dataset of ppml.yaml has the store/,
      ],
      [["data", "ls", LAKE], /data mkfs/],
    ] as const) {
      const { code, stderr } = await project.run(...args);
      assert.notEqual(code, 0, args.join(" "));
      assert.match(stderr, why);
    }
    const path = join(project.root, "ppml.yaml");
    const yaml = readFileSync(path, "utf8");
    writeFileSync(
      path,
      yaml.replace(`${LAKE}/people`, "abfss://data@lake1.blob.core.windows.net/p"),
    );
    const { stderr } = await project.run("data", "ls");
    writeFileSync(path, yaml);
    assert.match(
      stderr,
      /ppml\.yaml:\d+:\d+: datasets\.people\.store: expected a host ACCOUNT\.dfs/,
    );
  });

  test("a filesystem and a job's directory are made, once", async () => {
    assert.match((await project.must("data", "mkfs", LAKE)).stdout, /is made/);
    const again = await project.must("data", "mkfs", LAKE, "--json");
    assert.equal((JSON.parse(again.stdout) as { made: boolean }).made, false);
    const made = await project.must("data", "mkdir", `${LAKE}/in`, "--writer", JOB, "--json");
    const { acl } = JSON.parse(made.stdout) as { acl: string[] };
    assert.deepEqual(acl, [`user:${JOB}:rwx`, `default:user:${JOB}:rwx`]);
  });

  test("an upload that is killed goes on where it was, and uploads no finished file again", async () => {
    const journal = join(project.root, ".ppml", "uploads", "files.jsonl");
    const lines = (): number => {
      try {
        return readFileSync(journal, "utf8").split("\n").length - 1;
      } catch {
        return 0;
      }
    };
    const first = project.start("data", "put", "-r", "data/files", `${LAKE}/in/files`);
    for (let tries = 0; lines() < 3 && tries < 2000; tries += 1) await delay(5);
    first.kill();
    await first.ended;
    const finished = lines();
    assert.ok(finished >= 3);
    const kill = await stored("in/files/");
    const { stdout } = await project.must("data", "put", "-r", "data/files", "files", "--json");
    const sealed = JSON.parse(stdout) as { files: number; resumed: number };
    assert.equal(sealed.files, 12);
    assert.ok(
      sealed.resumed >= 3 && sealed.resumed <= finished,
      `${sealed.resumed} of ${finished}`,
    );
    const now = await stored("in/files/");
    const kept = Object.entries(kill).filter(([name, etag]) => now[name] === etag);
    assert.ok(kept.length >= sealed.resumed, JSON.stringify({ kill, now }));
    assert.deepEqual(readdirSync(join(project.root, ".ppml", "uploads")), []);
  });

  test("datasets are sealed, listed, verified and opened over it", async () => {
    await project.must("data", "seal", "people");
    const { stdout } = await project.must("data", "ls", `${LAKE}/people`, "-r", "--json");
    const { paths } = JSON.parse(stdout) as { paths: { path: string; isDirectory: boolean }[] };
    const names = paths.filter(({ isDirectory }) => !isDirectory).map(({ path }) => path);
    assert.deepEqual(names, ["people/manifest.json", "people/v1/people.parquet"]);
    assert.match((await project.must("data", "ls")).stdout, /people .*v1/);
    await project.must("data", "verify", "people", "files");
    await project.must(
      "policy",
      "draft",
      "owner",
      "--grant",
      "ordinary",
      "--grant",
      "sensitive",
      "--grant",
      "results",
    );
    await project.must("policy", "apply", "owner");
    const out = join(scratch.path, "opened");
    await project.must("data", "open", "files", "--out", out);
    for (const name of project.files)
      assert.ok(
        readFileSync(join(out, name)).equals(readFileSync(join(project.root, "data/files", name))),
      );
    assert.match(
      (await project.must("data", "inspect", `${LAKE}/people/v1/people.parquet`)).stdout,
      /sealed table/,
    );
  });

  test("a job reads from it and seals its result into it, in a TEE that holds what it needs", async () => {
    await project.must("job", "sign", "answer");
    await project.must("policy", "draft", "analysis");
    await project.must("policy", "apply");
    await project.must("run", "answer");
    const { stdout } = await project.must("data", "open", "answers", "--json");
    assert.match(stdout, /2000/);
  });

  test("no plaintext reached the storage, whole or in part", () => {
    assert.deepEqual(filesWith(twin.base.folder, CANARY), []);
    assert.ok(filesWith(join(project.root, "data"), CANARY).length > 10);
  });

  test("a rotated KEK is re-wrapped over it", async () => {
    await project.must("key", "rotate", "ordinary");
    const { stdout } = await project.must("data", "rewrap", "people", "files", "--json");
    const { rewrapped } = JSON.parse(stdout) as {
      rewrapped: { proof: { oldFound: unknown[]; notRead: unknown[] } }[];
    };
    for (const { proof } of rewrapped) {
      assert.deepEqual(proof.oldFound, []);
      assert.deepEqual(proof.notRead, []);
    }
    await project.must("data", "verify", "people", "files");
    await project.must("data", "open", "people", "--rows", "1");
  });

  test("T308: swapped, rolled-back, truncated and added objects are refused", async () => {
    const [a, b] = ["in/files/v2/deep/f00.bin", "in/files/v2/deep/f01.bin"].map((name) =>
      name.replace("v2", "v1"),
    );
    const opens = async (dataset: string): Promise<string> => {
      const { code, stderr } = await project.run(
        "data",
        "open",
        dataset,
        "--out",
        join(scratch.path, "refused"),
      );
      assert.notEqual(code, 0);
      return stderr;
    };
    await tamper(
      `const [a, b] = [await read("${a}"), await read("${b}")]; await write("${a}", b); await write("${b}", a);`,
    );
    assert.match(await opens("files"), /open\.(?:manifest|not_authentic)/);
    await tamper(
      `const [a, b] = [await read("${a}"), await read("${b}")]; await write("${a}", b); await write("${b}", a);`,
    );
    await tamper(`await write("in/old", await read("in/files/manifest.json"));`);
    await tamper(
      `const a = await read("${a}"); await write("${a}", a.subarray(0, a.length - 100)); await write("in/whole", a);`,
    );
    assert.match(await opens("files"), /open\.(?:manifest|not_authentic)/);
    await tamper(`await write("${a}", await read("in/whole"));`);
    await tamper(`await write("in/files/v1/deep/added.bin", Buffer.alloc(10));`);
    assert.match(await opens("files"), /open\.manifest/);
    await tamper(`await container.deleteBlob("in/files/v1/deep/added.bin");`);
    await project.must("data", "open", "files", "--out", join(scratch.path, "whole"));
    await project.must("data", "seal", "files");
    await tamper(`await write("in/files/manifest.json", await read("in/old"));`);
    assert.match(await opens("files"), /open\.rolled_back/);
    await project.must("data", "seal", "files");
  });

  test("a role that is taken away is told as such", async () => {
    const roles = takeRoles(twin);
    try {
      const { stderr } = await project.run("data", "verify", "people");
      assert.match(stderr, /azure\.denied/);
      assert.match(stderr, /role/);
    } finally {
      roles.restore();
    }
  });

  test("directories are deleted only where a person agrees", async () => {
    const refused = await project.run("data", "rm", `${LAKE}/in/files`);
    assert.equal(refused.code, 2);
    const asked = await project.run("data", "rm", "-r", `${LAKE}/in/files`);
    assert.equal(asked.code, 1);
    assert.match(asked.stderr, /--yes/);
    await project.must("data", "rm", "-r", `${LAKE}/in/files`, "--yes");
    assert.deepEqual(await stored("in/files/"), {});
  });
});
