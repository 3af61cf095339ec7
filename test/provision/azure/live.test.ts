import assert from "node:assert/strict";
import { test } from "node:test";
import { ppml } from "../../cli/ppml.ts";

// For a person with a subscription: PPML_LIVE_AZURE=1 PPML_LIVE_PROJECT=/path npm test \
// test/provision/azure/live.test.ts, logged in by `az login`. Only what-if is asked; nothing is made.
const isLive = process.env["PPML_LIVE_AZURE"] === "1";
const project = process.env["PPML_LIVE_PROJECT"] ?? "";

test(
  "Azure itself takes the template: what-if only",
  { skip: isLive ? false : "PPML_LIVE_AZURE=1 and PPML_LIVE_PROJECT are not set" },
  async () => {
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as const],
      ),
    );
    const args = ["azure", "plan", "--json", "--project", project];
    const { code, stdout } = await ppml(args, { env });
    assert.equal(code, 0, stdout);
    const plan = JSON.parse(stdout) as { groupExists: boolean };
    assert.ok(plan.groupExists, "the resource group has to be there, or Azure is not asked");
  },
);
