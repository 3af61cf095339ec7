import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import type { ContainerClient } from "@azure/storage-blob";
import { startAzurite } from "../../../src/twin/adls/azurite.ts";
import type { Azurite } from "../../../src/twin/adls/azurite.ts";

const KEY = new Uint8Array(64).fill(7);

/** A process of its own that starts Azurite on the folder, says the port and stays. */
const PARENT = `
  const { startAzurite } = await import(process.env.MODULE);
  const key = new Uint8Array(64).fill(7);
  const { port } = await startAzurite({ account: "lake", folder: process.env.FOLDER, key });
  console.log(port);
  setInterval(() => undefined, 1000);`;

function containerOf({ port }: Pick<Azurite, "port">): ContainerClient {
  const credential = new StorageSharedKeyCredential("lake", Buffer.from(KEY).toString("base64"));
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/lake`, credential);
  return service.getContainerClient("data");
}

async function startParent(context: TestContext, folder: string) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PARENT], {
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      FOLDER: folder,
      MODULE: join(import.meta.dirname, "../../../src/twin/adls/azurite.ts"),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.after(() => void child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const { pid = 0 } = child;
  const azurite = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
  assert.ok(azurite > 1);
  return { child, azurite, port: Number(line.toString()) };
}

test("Azurite ends with its parent, by SIGKILL too, and what it kept is there at the next start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ppml-azurite-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const first = await startParent(t, folder);
  const container = containerOf(first);
  await container.create();
  await container.getBlockBlobClient("x").upload("kept", 4);
  first.child.kill("SIGKILL");
  const deadline = Date.now() + 20_000;
  while (existsSync(`/proc/${first.azurite}`) && Date.now() < deadline) await sleep(50);
  const isLeft = existsSync(`/proc/${first.azurite}`);
  if (isLeft) process.kill(first.azurite, "SIGKILL");
  assert.equal(isLeft, false, "Azurite outlived its parent");
  const second = await startAzurite({ account: "lake", folder, key: KEY });
  try {
    const kept = await containerOf(second).getBlobClient("x").downloadToBuffer();
    assert.equal(kept.toString(), "kept");
  } finally {
    await second.close();
  }
});
