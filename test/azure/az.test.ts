import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";
import { ownerTokenFile, withTwin } from "../../src/twin/environment.ts";
import { addPrincipal, newPrincipal, storedSecret } from "../../src/twin/first-start.ts";
import { addFault } from "../../src/twin/front/faults.ts";
import type { Twin } from "../../src/twin/start.ts";
import { sectionOf, templateOf } from "../provision/azure/sections.ts";
import { principalWith, template } from "../twin/arm/client.ts";
import { runningTwin } from "../twin/running.ts";

const PYTHON = process.env["PPML_AZ_PYTHON"] ?? "python3";

let twin: Twin & { readonly log: string[] };
let folder = "";

before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  folder = mkdtempSync(join(tmpdir(), "ppml az "));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
});

type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs Microsoft's command line, unmodified, with the twin in Azure's place. */
async function az(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const base = { PATH: process.env["PATH"], HOME: folder };
  const child = spawn(PYTHON, ["-m", "azure.cli", ...words], {
    env: { ...withTwin(base, twin.environment), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    cwd: folder,
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** What a command that has to succeed prints. */
async function ask(line: string, ...words: readonly string[]): Promise<string> {
  const said = await az([...line.split(" "), ...words]);
  assert.equal(said.code, 0, `az ${line}: ${said.stderr}`);
  return said.stdout.trim();
}

function file(name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
}

async function login(): Promise<void> {
  const token = readFileSync(ownerTokenFile(twin.base.folder), "utf8");
  const id = `-u ${twin.environment["AZURE_CLIENT_ID"] ?? ""} -t ${twin.tenantId}`;
  await ask(`login --service-principal ${id} -o none --federated-token`, token);
}

describe("az, unmodified", () => {
  test("logs in with a federated token, and with a secret; a wrong one is refused", async () => {
    await login();
    assert.equal(await ask("account show --query id -o tsv"), twin.subscriptionId);
    assert.equal(await ask("account show --query tenantId -o tsv"), twin.tenantId);
    const made = newPrincipal({ tenantId: twin.tenantId, displayName: "secret" });
    addPrincipal(twin.base.state, {
      ...made,
      secrets: [storedSecret("S3cret~of~the~test", Date.now() + 60_000)],
    });
    const words = `login --service-principal -u ${made.clientId} -t ${twin.tenantId} --allow-no-subscriptions -o none -p`;
    const other = { AZURE_CONFIG_DIR: join(folder, "other") };
    const good = await az([...words.split(" "), "S3cret~of~the~test"], other);
    assert.equal(good.code, 0, good.stderr);
    // In a folder of its own: az keeps tokens.
    const third = { AZURE_CONFIG_DIR: join(folder, "third") };
    const bad = await az([...words.split(" "), "wrong"], third);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /AADSTS7000215/);
  });

  test("plans and deploys the product's own template, and finds its resources", async () => {
    await login();
    const section = sectionOf({ subscription: twin.subscriptionId, tenant: twin.tenantId });
    const group = section.resourceGroup;
    const outer = template({
      type: "Microsoft.Resources/resourceGroups",
      apiVersion: "2024-11-01",
      name: group,
      location: section.region,
    });
    const sub = ["-n", "groups", "-l", section.region, "-f", file("sub.json", outer)];
    const plan = await az(["deployment", "sub", "what-if", ...sub]);
    assert.match(plan.stdout, /1 to create/, plan.stderr);
    assert.equal(
      await ask("deployment sub create --query properties.provisioningState -o tsv", ...sub),
      "Succeeded",
    );
    assert.equal(await ask(`group show -n ${group} --query location -o tsv`), section.region);
    const own = ["-g", group, "-n", "main", "-f", file("main.json", templateOf(section))];
    const planned = await az(["deployment", "group", "what-if", ...own]);
    assert.match(planned.stdout, /Resource changes: \d+ to create\./, planned.stderr);
    const outputs = await ask("deployment group create --query properties.outputs -o json", ...own);
    const { vaultUri } = JSON.parse(outputs) as { vaultUri: { value: string } };
    assert.match(vaultUri.value, /^https:\/\/.+\.vault\.azure\.net\/$/);
    const states = await ask(
      `deployment operation group list -g ${group} -n main --query [].properties.provisioningState -o tsv`,
    );
    assert.deepEqual(new Set(states.split("\n")), new Set(["Succeeded"]));
    const types = await ask("resource list --query [].type -o tsv");
    assert.match(types, /Microsoft\.ContainerService\/managedClusters/);
    const issuer = await ask("aks list --query [0].oidcIssuerProfile.issuerUrl -o tsv");
    assert.match(issuer, /^https:\/\/eastus2\.oic\.prod-aks\.azure\.com\//);
  });

  test("works with keys and secrets, once it has the role, and recovers a deleted vault", async () => {
    await login();
    const vault = "azvault12345";
    await ask("group create -n az-vault -l eastus2 -o none");
    await ask(`keyvault create -g az-vault -n ${vault} -l eastus2 --sku premium -o none`);
    const secret = `keyvault secret set --vault-name ${vault} -n s --value v --query value -o tsv`;
    const denied = await az(secret.split(" "));
    assert.equal(denied.code, 1);
    assert.match(denied.stderr, /ForbiddenByRbac|not authorized to perform action/);
    const scope = await ask(`keyvault show -n ${vault} --query id -o tsv`);
    const me = await ask(
      `ad sp show --id ${twin.environment["AZURE_CLIENT_ID"] ?? ""} --query id -o tsv`,
    );
    const grant = `role assignment create --assignee-object-id ${me} --assignee-principal-type ServicePrincipal --scope ${scope} -o none --role`;
    await ask(grant, "Key Vault Administrator");
    assert.equal(await ask(secret), "v");
    const key = `--vault-name ${vault} -n kek`;
    assert.equal(
      await ask(`keyvault key create ${key} --kty RSA-HSM --size 3072 --query key.kty -o tsv`),
      "RSA-HSM",
    );
    const algorithm = "-a RSA-OAEP-256 --data-type base64";
    const wrapped = await ask(
      `keyvault key encrypt ${key} ${algorithm} --value aGVsbG8= --query result -o tsv`,
    );
    const opened = await ask(
      `keyvault key decrypt ${key} ${algorithm} --query result -o tsv --value`,
      wrapped,
    );
    assert.match(opened, /aGVsbG8=|hello/);
    await ask(`keyvault delete -n ${vault} -g az-vault -o none`);
    const again = await az(
      `keyvault create -g az-vault -n ${vault} -l eastus2 --sku premium -o none`.split(" "),
    );
    assert.equal(again.code, 1);
    assert.match(again.stderr, /deleted state|recover|purge/i);
    assert.equal(await ask(`keyvault recover -n ${vault} --query name -o tsv`), vault);
    // A deletion takes the role assignments, and a recovery does not bring them back.
    const list = `keyvault key list --vault-name ${vault} --query [].name -o tsv`;
    assert.equal((await az(list.split(" "))).code, 1);
    await ask(grant, "Key Vault Administrator");
    assert.equal(await ask(list), "kek");
  });

  test("makes a filesystem, directories and files in a Data Lake, once it has the role", async () => {
    await login();
    const lake = "azlake12345";
    await ask("group create -n az-lake -l eastus2 -o none");
    const made = `storage account create -g az-lake -n ${lake} -l eastus2 --sku Standard_LRS --hns true --allow-shared-key-access false`;
    const scope = await ask(`${made} --query id -o tsv`);
    const at = `--account-name ${lake} --auth-mode login`;
    // Making a container is an action, which an owner has; what is in it is data.
    await ask(`storage fs create -n data ${at} -o none`);
    const directory = `storage fs directory create -f data -n in/2026 ${at} -o none`;
    assert.equal((await az(directory.split(" "))).code, 1);
    const me = await ask(
      `ad sp show --id ${twin.environment["AZURE_CLIENT_ID"] ?? ""} --query id -o tsv`,
    );
    await ask(
      `role assignment create --assignee-object-id ${me} --assignee-principal-type ServicePrincipal --scope ${scope} -o none --role`,
      "Storage Blob Data Owner",
    );
    await ask(directory);
    const source = file("people.json", { name: "Ada" });
    await ask(`storage fs file upload -f data -p in/2026/people.json ${at} -o none -s`, source);
    const names = await ask(`storage fs file list -f data --path in ${at} --query [].name -o tsv`);
    assert.deepEqual(new Set(names.split("\n")), new Set(["in/2026", "in/2026/people.json"]));
    const target = join(folder, "back.json");
    await ask(`storage fs file download -f data -p in/2026/people.json ${at} -o none -d`, target);
    assert.equal(readFileSync(target, "utf8"), readFileSync(source, "utf8"));
    await ask(
      `storage fs access set -f data -p in ${at} -o none --acl`,
      "user::rwx,group::r-x,other::---",
    );
    const acl = await ask(`storage fs access show -f data -p in ${at} --query acl -o tsv`);
    assert.match(acl, /other::---/);
  });

  test("activates a Managed HSM, lets ARM make its keys, and gives a role at one of them", async () => {
    await login();
    const hsm = "azhsm12345";
    const me = await ask(
      `ad sp show --id ${twin.environment["AZURE_CLIENT_ID"] ?? ""} --query id -o tsv`,
    );
    await ask("group create -n az-hsm -l eastus2 -o none");
    await ask(
      `keyvault create -g az-hsm --hsm-name ${hsm} -l eastus2 --administrators ${me} --retention-days 90 -o none`,
    );
    const grant = `keyvault role assignment create --hsm-name ${hsm} --assignee-object-id ${me} --scope /keys/kek -o none --role`;
    const create = `keyvault key create --hsm-name ${hsm} -n kek --kty RSA-HSM --size 3072 -o none`;
    const early = await az([...grant.split(" "), "Managed HSM Crypto User"]);
    assert.match(early.stderr, /until it is activated/);
    const certificates = [1, 2, 3].map((number) => {
      const [key, cert] = [join(folder, `hsm-${number}.key`), join(folder, `hsm-${number}.cer`)];
      const made = `req -x509 -newkey rsa:3072 -nodes -sha256 -days 2 -subj /CN=hsm-${number} -keyout`;
      execFileSync("openssl", [...made.split(" "), key, "-out", cert], { stdio: "ignore" });
      return cert;
    });
    const domain = join(folder, "domain.json");
    const download = `keyvault security-domain download --hsm-name ${hsm} --sd-quorum 2 --query status -o tsv --security-domain-file`;
    assert.match(await ask(download, domain, "--sd-wrapping-keys", ...certificates), /^Success/);
    assert.match(readFileSync(domain, "utf8"), /holds no key/);
    const status = "properties.securityDomainProperties.activationStatus";
    assert.equal(await ask(`keyvault show --hsm-name ${hsm} --query ${status} -o tsv`), "Active");
    assert.match((await az(create.split(" "))).stderr, /not authorized|Forbidden/);
    await ask(grant, "Managed HSM Crypto User");
    await ask(create);
    const setting = `--hsm-name ${hsm} --name AllowKeyManagementOperationsThroughARM --query value -o tsv`;
    assert.equal(await ask(`keyvault setting show ${setting}`), "false");
    await ask(`keyvault setting update --value true ${setting}`);
    assert.equal(await ask(`keyvault setting show ${setting}`), "true");
    await ask(
      "deployment group create -g az-hsm -n key -o none -f",
      file("key.json", {
        ...template({
          type: "Microsoft.KeyVault/managedHSMs/keys",
          apiVersion: "2026-02-01",
          name: `${hsm}/by-arm`,
          properties: { kty: "RSA-HSM", keySize: 3072, keyOps: ["wrapKey", "unwrapKey"] },
        }),
      }),
    );
    const both = `keyvault key list --hsm-name ${hsm} --query [].name -o tsv`;
    assert.equal((await az(both.split(" "))).code, 1, "a role at one key lists none");
  });

  test("applies a stack and deletes it with its resources", async () => {
    await login();
    await ask("group create -n az-stack -l eastus2 -o none");
    const one = template({
      type: "Microsoft.ManagedIdentity/userAssignedIdentities",
      apiVersion: "2024-11-30",
      name: "one",
      location: "eastus2",
      properties: {},
    });
    const unmanage = "--action-on-unmanage deleteResources --yes";
    assert.equal(
      await ask(
        `stack group create -g az-stack -n main --deny-settings-mode none ${unmanage} --query provisioningState -o tsv -f`,
        file("stack.json", one),
      ),
      "succeeded",
    );
    assert.equal(await ask("identity list -g az-stack --query [].name -o tsv"), "one");
    await ask(`stack group delete -g az-stack -n main ${unmanage}`);
    assert.equal(await ask("identity list -g az-stack --query [].name -o tsv"), "");
  });

  test("is told of a missing role as by Azure, and rides out a throttled call", async () => {
    const reader = principalWith(twin, ["Reader", `/subscriptions/${twin.subscriptionId}`]);
    addPrincipal(twin.base.state, {
      ...reader,
      secrets: [storedSecret("R3ader~of~the~test", Date.now() + 60_000)],
    });
    const other = { AZURE_CONFIG_DIR: join(folder, "reader") };
    const words = `login --service-principal -u ${reader.clientId} -t ${twin.tenantId} -o none -p`;
    assert.equal((await az([...words.split(" "), "R3ader~of~the~test"], other)).code, 0);
    const denied = await az("group create -n az-denied -l eastus2".split(" "), other);
    assert.equal(denied.code, 1);
    assert.match(denied.stderr, /AuthorizationFailed/);
    addFault(
      twin.base.state,
      {
        service: "arm",
        method: "GET",
        path: "/resourcegroups",
        status: 429,
        remaining: 1,
        retryAfterSeconds: 1,
      },
      Date.now(),
    );
    const listed = await az("group list -o tsv".split(" "), other);
    assert.equal(listed.code, 0, listed.stderr);
  });
});
