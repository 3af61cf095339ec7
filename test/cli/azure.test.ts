import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import { parseKubeconfig } from "../../src/cli/azure/kubeconfig.ts";
import { forecast, makePlan, templateDigest } from "../../src/provision/azure/deploy/index.ts";
import { MemoryArm } from "../provision/azure/memory-arm.ts";
import { RELEASE_POLICY, sectionOf, templateOf } from "../provision/azure/sections.ts";
import { policyOf, writeAzureProject } from "./azure-project.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

function projectIn(context: TestContext, change: object = {}): string {
  const cwd = temporaryFolder(context);
  writeAzureProject(cwd, change);
  return cwd;
}

const refusal = (stdout: string) =>
  (JSON.parse(stdout) as { error: { code: string; message: string } }).error;

test("azure export prints the template, and with --format terraform azapi's resources", async (context) => {
  const cwd = projectIn(context);
  const arm = await runInProcess(["azure", "export"], { cwd });
  assert.equal(arm.code, 0, arm.stderr);
  assert.deepEqual(JSON.parse(arm.stdout), JSON.parse(JSON.stringify(templateOf(sectionOf()))));
  const terraform = await runInProcess(["azure", "export", "--format", "terraform"], { cwd });
  const document = JSON.parse(terraform.stdout) as { resource: { azapi_resource: object } };
  assert.ok(Object.keys(document.resource.azapi_resource).length > 40);
});

test("a project without the section says how to get one", async (context) => {
  const cwd = temporaryFolder(context);
  writeAzureProject(cwd, {});
  const text = readFileSync(join(cwd, "ppml.yaml"), "utf8");
  writeFileSync(join(cwd, "ppml.yaml"), text.slice(0, text.indexOf("azure:")));
  const { code, stdout } = await runInProcess(["azure", "export", "--json"], { cwd });
  assert.equal(code, 1);
  assert.match(refusal(stdout).message, /has no section "azure"/);
});

test("T229: a private key in the place of the SSH public key is refused", async (context) => {
  const cwd = projectIn(context);
  writeFileSync(join(cwd, "keys/client.pub"), "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n");
  const { stdout } = await runInProcess(["azure", "export", "--json"], { cwd });
  assert.equal(refusal(stdout).code, "provision.input");
  assert.match(refusal(stdout).message, /is a private key: name its public half/);
});

test("T229: what is no public key of one line is refused, and a missing one says how to make it", async (context) => {
  const cwd = projectIn(context);
  for (const text of ["ssh-ed25519 AAAA\n", "ssh-rsa AAAA\nroot ALL\n", ""]) {
    writeFileSync(join(cwd, "keys/client.pub"), text);
    const { stdout } = await runInProcess(["azure", "export", "--json"], { cwd });
    assert.match(refusal(stdout).message, /is no OpenSSH public key of one line/);
  }
  const other = projectIn(context, { vm: { sshPublicKeyFile: "keys/none.pub" } });
  const { stderr } = await runInProcess(["azure", "export"], { cwd: other });
  assert.match(stderr, /ssh-keygen -t ed25519/);
});

test("an exportable KEK whose policy Azure could never follow is refused", async (context) => {
  const cwd = projectIn(context);
  const ours = { ...RELEASE_POLICY.anyOf[0], authority: "tag:ppml,2026:issuer" };
  const both = { ...RELEASE_POLICY, anyOf: [...RELEASE_POLICY.anyOf, ours] };
  writeFileSync(join(cwd, "policies/analysis.json"), JSON.stringify(policyOf(both)));
  const { stdout } = await runInProcess(["azure", "export"], { cwd });
  assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(templateOf(sectionOf()))));
  const only = { ...RELEASE_POLICY, anyOf: [ours] };
  writeFileSync(join(cwd, "policies/analysis.json"), JSON.stringify(policyOf(only)));
  const { stdout: refused } = await runInProcess(["azure", "export", "--json"], { cwd });
  assert.match(refusal(refused).message, /names no provider of Azure Attestation/);
});

test("T225: apply takes no file that is not a plan, no changed one and no other than approved", async (context) => {
  const cwd = projectIn(context);
  const section = sectionOf();
  const template = templateOf(section);
  const found = await forecast(new MemoryArm(section).port, { template, section });
  const templateSha256 = templateDigest(template);
  const plan = makePlan({ section, templateSha256, forecast: found, nowMs: 0 });
  const apply = async (content: string, ...more: readonly string[]) => {
    writeFileSync(join(cwd, "plan.json"), content);
    const args = ["azure", "apply", "plan.json", "--yes", "--json", ...more];
    const { code, stdout } = await runInProcess(args, { cwd });
    assert.equal(code, 1);
    return refusal(stdout);
  };
  assert.match((await apply("{")).message, /is no plan/);
  assert.match((await apply("{}")).message, /plan/);
  const changed = JSON.stringify({ ...plan, changes: [] });
  assert.match((await apply(changed)).message, /was changed after it was made/);
  const other = "0".repeat(64);
  const { code, message } = await apply(JSON.stringify(plan), "--digest", other);
  assert.equal(code, "provision.plan_invalid");
  assert.ok(message.includes(`is the plan ${plan.digest}, not the approved ${other}`));
});

test("cost takes a price table, names it and its date, and keeps it", async (context) => {
  const cwd = projectIn(context);
  const table = {
    kind: "ppml-azure-prices",
    v: 1,
    date: "2026-11-20",
    region: "eastus2",
    currency: "EUR",
    source: "our contract",
    prices: { "vm/Standard_DC8as_v6": 0.5 },
  };
  writeFileSync(join(cwd, "prices.json"), JSON.stringify(table));
  const args = ["azure", "cost", "--prices", "prices.json", "--save", "kept.json"];
  const { code, stdout } = await runInProcess(args, { cwd });
  assert.equal(code, 0);
  assert.match(
    stdout,
    /365\.00 EUR a month, by our contract, eastus2, of 2026-11-20; \d+ without a price/,
  );
  assert.deepEqual(JSON.parse(readFileSync(join(cwd, "kept.json"), "utf8")), table);
});

const kubeconfig = (user: string) => ({
  kubeconfigs: [
    {
      value: Buffer.from(
        `apiVersion: v1\nclusters: [{name: c, cluster: {server: "https://x.hcp.eastus2.azmk8s.io:443"}}]\nusers: [{name: u, user: ${user}}]\ncurrent-context: c\n`,
      ).toString("base64"),
    },
  ],
});

test("a kubeconfig that logs in by kubelogin is taken", () => {
  const { server, contextName } = parseKubeconfig(kubeconfig("{exec: {command: kubelogin}}"));
  assert.equal(server, "https://x.hcp.eastus2.azmk8s.io:443");
  assert.equal(contextName, "c");
});

for (const user of ["{token: abc}", "{client-key-data: abc}", "{password: abc, username: a}"])
  test(`T229: a kubeconfig with a secret in it is refused: ${user}`, () => {
    assert.throws(
      () => parseKubeconfig(kubeconfig(user)),
      (error) => isPpmlError(error, "provision.protected") && /local accounts/.test(error.message),
    );
  });

test("an answer without a kubeconfig is refused", () => {
  for (const answer of [null, {}, { kubeconfigs: [] }, { kubeconfigs: [{ value: "e30=" }] }])
    assert.throws(
      () => parseKubeconfig(answer),
      (error) => isPpmlError(error, "azure.failed"),
    );
});
