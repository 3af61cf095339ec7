import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withTwin } from "../../src/twin/environment.ts";
import { runInTwin, runningTwin } from "./running.ts";

const PROGRAM = `
  import { connectAzure } from "./src/azure/index.ts";
  const { credential } = connectAzure({ transport: process.env.TRANSPORT });
  const asked = credential.getToken("https://vault.azure.net/.default", { abortSignal: AbortSignal.timeout(4000) });
  console.log(await asked.then(() => "a token", () => "no token"));
  process.exit(0);`;

test("T257: the product reaches the double only where the project file says so", async (t) => {
  const twin = await runningTwin(t);
  const open = await runInTwin(twin, PROGRAM, { TRANSPORT: "environment" });
  assert.equal(open.stdout.trim(), "a token", open.stderr);
  const seen = twin.log.length;
  // The proxy's variables and the double's CA are there, and are not followed.
  const direct = await runInTwin(twin, PROGRAM, { TRANSPORT: "direct" });
  assert.equal(direct.stdout.trim(), "no token", direct.stderr);
  assert.equal(twin.log.length, seen);
});

test("T258: the twin's folder is its owner's alone, and no repository takes it", async (t) => {
  const twin = await runningTwin(t);
  const { folder } = twin.base;
  assert.equal(readFileSync(join(folder, ".gitignore"), "utf8"), "*\n");
  const secret = ["state.db", "owner-token.jwt", "running.json", "tls/ca.json"];
  for (const name of secret) {
    assert.ok(existsSync(join(folder, name)), name);
    assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
  }
  assert.equal(statSync(join(folder, "tls")).mode & 0o077, 0);
  assert.ok(readdirSync(folder).every((name) => !name.endsWith(".tmp")));
});

test("T259: a program in the twin has neither the person's login nor a way past the proxy", () => {
  const environment = {
    HTTPS_PROXY: "http://127.0.0.1:1",
    AZURE_CONFIG_DIR: "/twin/az",
    AZURE_CLIENT_ID: "the twin's",
  };
  const inside = withTwin(
    {
      AZURE_CLIENT_SECRET: "real",
      AZURE_CLIENT_ID: "real",
      AZURE_CONFIG_DIR: "/home/me/.azure",
      ALL_PROXY: "http://proxy",
      IMDS_ENDPOINT: "http://169.254.169.254",
      HOME: "/home/me",
    },
    environment,
  );
  assert.deepEqual(inside, { HOME: "/home/me", ...environment });
});
