import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Twin } from "../../src/twin/start.ts";
import { IMAGE_ENTRIES, withoutFor } from "../../src/cli/tee-image.ts";
import { planImage } from "../../src/launch/sim/image-plan.ts";
import { makeScratch } from "../compute/fixture.ts";
import { makeAccount } from "../twin/adls/account.ts";
import { runningTwin } from "../twin/running.ts";
import { ACCOUNT, LAKE, makeLakeProject } from "./lake-project.ts";
import type { LakeProject } from "./lake-project.ts";
import { filesWith } from "./project.ts";

// The whole way (jobs, kills, hostile storage) is in test/azure/data-lake.test.ts: `npm run test:azure`.

const CANARY = "CANARY-THAT-STAYS-AT-HOME";

const scratch = makeScratch();
let twin: Twin & { readonly log: string[] };
let project: LakeProject;
before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  makeAccount(twin, { account: ACCOUNT, sharedKey: false });
  project = await makeLakeProject({ folder: scratch.path, twin, canary: CANARY, fileCount: 2 });
});
after(() => scratch[Symbol.dispose]());

test("T309: files are sealed on their way into a data lake, and no plaintext reaches it", async () => {
  await project.must("data", "mkfs", LAKE);
  await project.must("data", "put", "-r", "data/files", `${LAKE}/in/files`);
  await project.must("data", "put", "data/people.parquet", "people");
  const verified = await project.must("data", "verify");
  assert.equal(verified.stdout.match(/as listed/g)?.length, 2);
  assert.deepEqual(filesWith(twin.base.folder, CANARY), []);
  assert.ok(filesWith(join(project.root, "data"), CANARY).length >= 3);
});

test("the image of a project without data lakes holds nothing that opens them, and none holds a login", () => {
  const imageRoot = join(import.meta.dirname, "../..");
  const pathsOf = (hasDataLake: boolean): string[] =>
    planImage({ imageRoot, entries: IMAGE_ENTRIES, without: withoutFor(hasDataLake) }).files.map(
      ({ path }) => path,
    );
  assert.deepEqual(
    pathsOf(false).filter((path) => path.includes("@azure/")),
    [],
  );
  const whole = pathsOf(true);
  assert.ok(whole.some((path) => path.startsWith("node_modules/@azure/storage-blob/")));
  for (const name of ["identity", "keyvault-keys", "keyvault-secrets", "arm-resourcesdeployments"])
    assert.ok(!whole.some((path) => path.startsWith(`node_modules/@azure/${name}/`)), name);
});
