import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder, ppml } from "./ppml.ts";
import { writeAzureProject } from "./azure-project.ts";

const OTHER = "00000000-0000-4000-8000-00000000000a";
const ENV = ["sh", "-c", 'echo "$AZURE_SUBSCRIPTION_ID $AZURE_TENANT_ID"'];

test("the twin takes the ids of ppml.yaml, and says that what follows is SIMULATED", async (context) => {
  const cwd = temporaryFolder(context);
  const subscription = "aaaaaaaa-2222-4333-8444-555555555555";
  const tenant = "99999999-8888-4777-8666-555555555555";
  writeAzureProject(cwd, { subscription, tenant, transport: "environment" });
  const first = await ppml(["twin", "exec", "--", ...ENV], { cwd });
  assert.equal(first.stdout, `${subscription} ${tenant}\n`);
  assert.match(first.stderr, /^SIMULATED: .*not to Azure\.\n$/);

  writeAzureProject(cwd, { subscription: OTHER, tenant });
  const second = await ppml(["twin", "exec", "--", "true"], { cwd });
  assert.match(second.stderr, /transport: direct, so ppml itself would talk to Azure/);
  assert.match(second.stderr, /ppml\.yaml has the subscription 0.*0a, the twin aaaaaaaa-/);

  writeAzureProject(cwd, { subscription: OTHER, tenant, transport: "environment" });
  for (const command of ["plan", "status"]) {
    const run = await ppml(["twin", "exec", "--", "ppml", "azure", command, "--json"], {
      cwd,
      env: { PATH: `${process.cwd()}/bin:${process.env["PATH"] ?? ""}` },
    });
    const { error } = JSON.parse(run.stdout) as { error: { code: string; message: string } };
    assert.equal(error.code, "azure.not_found", command);
    assert.match(error.message, /this login does not see the subscription 0.*0a/);
  }
});

test("ids by flags are those of the first start; another one later is refused", async (context) => {
  const cwd = temporaryFolder(context);
  const ids = ["--subscription", OTHER, "--tenant", OTHER.replace(/a$/, "b")];
  const first = await ppml(["twin", "exec", ...ids, "--", ...ENV], { cwd });
  assert.equal(first.stdout, `${OTHER} ${OTHER.replace(/a$/, "b")}\n`);
  const other = OTHER.replace(/a$/, "c");
  const second = await ppml(["twin", "exec", "--subscription", other, "--", "true"], { cwd });
  assert.equal(second.code, 1);
  assert.match(second.stderr, /has the subscription 0.*0a, not 0.*0c/);
  const bad = await ppml(["twin", "exec", "--tenant", "contoso", "--", "true"], { cwd });
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /expected a GUID/);
});
