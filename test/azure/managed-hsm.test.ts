import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { ownerTokenFile, withTwin } from "../../src/twin/environment.ts";
import { HSM_ASSIGNMENTS, HSM_ROLES } from "../../src/twin/keyvault/hsm-roles.ts";
import { KEYS } from "../../src/twin/keyvault/documents.ts";
import { TWIN } from "../../src/twin/state-kinds.ts";
import { caller } from "../twin/arm/client.ts";
import { errorOf, type Site, siteIn } from "../provision/azure/in-twin.ts";
import { FULL, HSM_IDENTITIES, RELEASE_POLICY } from "../provision/azure/sections.ts";

const PYTHON = process.env["PPML_AZ_PYTHON"] ?? "python3";
const HSM = "ppml-demo-hsm";
const HOST = `${HSM}.managedhsm.azure.net`;

type Hsm = {
  readonly state: string;
  readonly next: string;
  readonly commands: readonly string[];
  readonly takeBack: readonly string[];
};
type Up = { readonly how: string; readonly settledKeks: readonly string[]; readonly hsm: Hsm };

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what is read is compared
const json = <T>(text: string | undefined): T => JSON.parse(text ?? "null") as T;

/** A section with a Managed HSM and what needs it; `change` is of its keyVault. */
const withHsm = (change: object = {}) => ({
  vm: undefined,
  aks: undefined,
  storage: undefined,
  registry: undefined,
  logAnalytics: undefined,
  keyVault: { name: HSM, sku: "managedHsm", keks: FULL.keyVault.keks, ...change },
  identities: {
    broker: HSM_IDENTITIES.broker,
    spark: { ...HSM_IDENTITIES.spark, data: "none" },
  },
});

/** Runs one of the commands that ppml printed, letter by letter, with the twin in Azure's place. */
async function shell({ twin, cwd }: Site, command: string): Promise<void> {
  const env = withTwin({ PATH: process.env["PATH"], HOME: cwd }, twin.environment);
  const line = command.replace(/^az /, `"${PYTHON}" -m azure.cli `);
  // Not waited for by blocking: the twin runs in this process.
  await promisify(execFile)("sh", ["-c", line], { cwd, env });
}

const keysIn = ({ twin }: Site) =>
  twin.base.state.list(KEYS, { prefix: `${HOST}/` }).map(({ document }) => document);

const rolesIn = ({ twin }: Site) =>
  twin.base.state
    .list(HSM_ASSIGNMENTS)
    .map(({ document: { role, scope } }) => {
      const name = HSM_ROLES.find(({ id }) => id === role)?.roleName ?? "";
      return `${name} ${scope}`;
    })
    .toSorted();

describe("a Managed HSM that ppml makes, in the double of Azure", () => {
  test("made, activated by the printed commands, keys by ARM, roles by the printed commands", async (context) => {
    const site = await siteIn(context);
    const { environment, tenantId, base } = site.twin;
    const token = readFileSync(ownerTokenFile(base.folder), "utf8");
    await shell(
      site,
      `az login --service-principal -u ${environment["AZURE_CLIENT_ID"] ?? ""} -t ${tenantId} -o none --federated-token ${token}`,
    );

    site.write(withHsm());
    const [first, again, text] = await site.run("up --yes --json", "up --yes --json", "up --yes");
    assert.equal(first?.code, 0, first?.stdout);
    const { hsm } = json<Up>(first.stdout);
    assert.deepEqual([hsm.state, hsm.next], ["not-activated", "activate"]);
    assert.equal(json<Up>(again?.stdout).how, "nothing-to-do");
    assert.match(text?.stdout ?? "", /takes no keys before it is activated/);
    for (const command of hsm.commands) assert.ok(text?.stdout.includes(command), command);
    assert.deepEqual(keysIn(site), []);

    for (const command of hsm.commands)
      await shell(site, command.startsWith("openssl") ? `${command} -passout pass:x` : command);
    const [told] = await site.run("up --yes");
    assert.match(told?.stdout ?? "", /is activated: say activated: true/);

    site.write(withHsm({ activated: true }));
    const [planned, refused] = await site.run("azure plan --json", "up --yes --json");
    const { changes } = json<{ changes: { name: string; action: string }[] }>(planned?.stdout);
    assert.deepEqual(
      changes.map(({ action, name }) => `${action} ${name}`),
      [`create ${HSM}/input`, `create ${HSM}/input-direct`],
    );
    // The operator has no role in the HSM yet: no policy is left open unsaid.
    assert.equal(errorOf(refused).code, "azure.denied", refused?.stdout);
    const { detail } = json<{ error: { detail: { commands: string[] } } }>(refused?.stdout).error;
    assert.equal(detail.commands.length, 1);
    assert.match(
      detail.commands[0] ?? "",
      /Managed HSM Crypto User.* --scope \/keys\/input-direct$/,
    );
    for (const command of detail.commands) await shell(site, command);

    const [last, plan] = await site.run("up --yes --json", "azure plan --json");
    assert.equal(last?.code, 0, last?.stdout);
    const done = json<Up>(last.stdout);
    assert.deepEqual(done.settledKeks, ["input-direct"]);
    assert.equal(done.hsm.next, "roles");
    assert.deepEqual(json<{ changes: object[] }>(plan?.stdout).changes, []);
    for (const command of done.hsm.commands) await shell(site, command);
    // Given twice, it is one; and what was needed once goes, at that key alone.
    for (const command of done.hsm.commands) await shell(site, command);
    assert.ok(rolesIn(site).includes("Managed HSM Crypto User /keys/input-direct"));
    assert.equal(done.hsm.takeBack.length, 1);
    for (const command of done.hsm.takeBack) await shell(site, command);
    assert.deepEqual(rolesIn(site), [
      "Managed HSM Crypto Auditor /keys",
      "Managed HSM Crypto Service Encryption User /keys/input",
      "Managed HSM Crypto Service Release User /keys/input-direct",
    ]);
    // Taken back, it is not missed; nor taken back again by who finds nothing to fix.
    const [after] = await site.run("up --yes --json");
    assert.equal(after?.code, 0, after?.stdout);
    assert.deepEqual(json<Up>(after.stdout).hsm.takeBack, []);
    for (const command of done.hsm.takeBack) await shell(site, command);
    const direct = keysIn(site).find(({ name }) => name === "input-direct");
    assert.equal(direct?.releasePolicy?.immutable, true);
    assert.deepEqual(direct.versions[0]?.keyOps, ["wrapKey"]);
  });

  test("T168: a plan whose project file says activated, and is wrong, is refused before anything is done", async (context) => {
    const site = await siteIn(context);
    site.write(withHsm({ activated: true }));
    const [early] = await site.run("up --yes --json");
    assert.equal(errorOf(early).code, "provision.not_activated");
    assert.match(errorOf(early).message, /is not there yet/);
    site.write(withHsm());
    const [made, plan] = await site.run("up --yes --json", "azure plan --out plan.json");
    assert.equal(made?.code, 0, made?.stdout);
    assert.equal(plan?.code, 0, plan?.stderr);
    site.write(withHsm({ activated: true }));
    const steps = await site.run(
      "azure plan --json",
      "up --yes --json",
      "azure apply plan.json --yes --json",
    );
    for (const step of steps) {
      assert.equal(step.code, 1);
      assert.equal(errorOf(step).code, "provision.not_activated");
      assert.match(step.stdout, /az keyvault security-domain download/);
    }
    assert.deepEqual(keysIn(site), []);
  });

  test("T168: an HSM that does not trust ARM takes no key of its, and the remedy is the command", async (context) => {
    const site = await siteIn(context);
    site.write(withHsm());
    const [made] = await site.run("up --yes --json");
    assert.equal(made?.code, 0, made?.stdout);
    const hsm = await caller(site.twin, { host: HOST, resource: "https://managedhsm.azure.net" });
    const { status } = await hsm("POST", "/securitydomain/download?api-version=7.5", DOWNLOAD);
    assert.equal(status, 202);
    site.write(withHsm({ activated: true }));
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "provision.failed");
    assert.match(errorOf(refused).message, /az keyvault setting update --hsm-name/);
    assert.deepEqual(keysIn(site), []);
  });

  test("T167: who applies is told of every role at once, for themselves alone, and no role for good that could unwrap", async (context) => {
    const site = await siteIn(context);
    const owner = site.twin.base.state.get(TWIN, "twin")?.ownerObjectId ?? "";
    const other = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
    const operators = [{ objectId: owner, kind: "servicePrincipal" }, { objectId: other }];
    const direct = { use: "exportable", policy: "analysis" };
    const keks = { ...FULL.keyVault.keks, second: direct };
    site.write({ ...withHsm({ keks }), operators });
    await site.run("up --yes");
    await activate(site);
    const all = site.twin.base.state.list(HSM_ASSIGNMENTS);
    for (const { id } of all) site.twin.base.state.remove(HSM_ASSIGNMENTS, id);
    site.write({ ...withHsm({ keks, activated: true }), operators });
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "azure.denied");
    const { detail } = json<{ error: { detail: { commands: string[] } } }>(refused?.stdout).error;
    assert.deepEqual(
      detail.commands.map((command) => command.split("--assignee-object-id ")[1]),
      ["input-direct", "second"].map(
        (kek) => `${owner} --assignee-principal-type ServicePrincipal --scope /keys/${kek}`,
      ),
    );
    await activate(site);
    const [up] = await site.run("up --yes --json");
    const { hsm, settledKeks } = json<Up>(up?.stdout);
    assert.deepEqual(settledKeks, ["input-direct", "second"]);
    assert.doesNotMatch(hsm.commands.join("\n"), /Managed HSM Crypto User/);
    assert.equal(hsm.takeBack.length, 4);
  });

  test("T167: a key that was there before and unwraps is no exportable KEK, whatever its policy says", async (context) => {
    const site = await activatedSite(context);
    const hsm = await caller(site.twin, { host: HOST, resource: "https://managedhsm.azure.net" });
    const data = Buffer.from(JSON.stringify(RELEASE_POLICY)).toString("base64url");
    const { status } = await hsm("POST", "/keys/input-direct/create?api-version=7.6", {
      kty: "RSA-HSM",
      key_size: 3072,
      key_ops: ["wrapKey", "unwrapKey"],
      attributes: { exportable: true },
      release_policy: { data },
    });
    assert.equal(status, 200);
    site.write(withHsm({ activated: true }));
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "provision.protected", refused?.stdout);
    assert.match(errorOf(refused).message, /RSA-HSM with wrapKey, unwrapKey\. It was there before/);
    const direct = keysIn(site).find(({ name }) => name === "input-direct");
    assert.equal(direct?.releasePolicy?.immutable, false);
  });

  test("T278: nothing is sealed for a key that has an unwrap-only KEK's name and goes to whom its maker says", async (context) => {
    const site = await siteIn(context);
    site.write(withHsm());
    await site.run("up --yes", "init sealer --template azure");
    await activate(site);
    const hsm = await caller(site.twin, { host: HOST, resource: "https://managedhsm.azure.net" });
    const policy = JSON.stringify(RELEASE_POLICY).replaceAll("ppmlattest", "attackers");
    const { status } = await hsm("POST", "/keys/input/create?api-version=7.6", {
      kty: "RSA-HSM",
      key_size: 3072,
      key_ops: ["wrapKey"],
      attributes: { exportable: true },
      release_policy: { data: Buffer.from(policy).toString("base64url"), immutable: true },
    });
    assert.equal(status, 200);
    site.write(withHsm({ activated: true }));
    for (const folder of ["keys", "policies"])
      cpSync(join(site.cwd, folder), join(site.cwd, "sealer", folder), { recursive: true });
    const project = parse(readFileSync(join(site.cwd, "ppml.yaml"), "utf8")) as object;
    const documents = { source: "data/in", store: "sealed", kind: "file" };
    const sealer = {
      ...project,
      vault: { kind: "azure", url: `https://${HOST}`, rootKeyFile: ".ppml/root.key" },
      datasets: { documents: { ...documents, groups: [{ name: "all", kek: "input" }] } },
    };
    writeFileSync(join(site.cwd, "sealer", "ppml.yaml"), stringify(sealer));
    const [refused] = await site.run("data seal documents --project sealer --json");
    assert.equal(errorOf(refused).code, "key.not_permitted", refused?.stdout);
    assert.match(errorOf(refused).message, /input is unwrap-only, and the key of .* is exportable/);

    // The same of an exportable KEK: the project's own policy is sealed for, another's is not.
    await site.run("up --yes");
    const seal = async (kek: string) => {
      const group = { ...documents, groups: [{ name: "all", kek }] };
      const text = stringify({ ...sealer, datasets: { documents: group } });
      writeFileSync(join(site.cwd, "sealer", "ppml.yaml"), text);
      return (await site.run("data seal documents --project sealer --json"))[0];
    };
    const own = await seal("input-direct");
    assert.equal(own?.code, 0, own?.stdout);
    const file = join(site.cwd, "sealer", "policies", "analysis.json");
    writeFileSync(file, readFileSync(file, "utf8").replaceAll("ppmlattest", "elsewhere"));
    const other = await seal("input-direct");
    assert.equal(errorOf(other).code, "key.not_permitted", other?.stdout);
    assert.match(errorOf(other).message, /another release policy than the policy analysis/);
  });

  test("that data can be sealed now is said once there are keys to seal for", async (context) => {
    const site = await siteIn(context);
    const groups = [{ name: "all", kek: "input" }];
    const lake = "abfss://sealed@ppmldemolake.dfs.core.windows.net/documents";
    const datasets = { documents: { source: "keys", store: lake, kind: "file", groups } };
    const write = (change: object) => {
      site.write(withHsm(change));
      const file = join(site.cwd, "ppml.yaml");
      const project = parse(readFileSync(file, "utf8")) as object;
      writeFileSync(file, stringify({ ...project, datasets }));
    };
    write({});
    const [early, text] = await site.run("up --yes --json", "up --yes");
    assert.deepEqual(json<{ next: string[] }>(early?.stdout).next, []);
    assert.doesNotMatch(text?.stdout ?? "Next:", /^Next:/m);
    await activate(site);
    write({ activated: true });
    const [up, after] = await site.run("up --yes --json", "up --yes");
    assert.deepEqual(json<{ next: string[] }>(up?.stdout).next, ["ppml data seal documents"]);
    assert.match(after?.stdout ?? "", /^Next: ppml data seal documents$/m);
  });

  test("destroy keeps the HSM and its keys, and what is taken out is let go of", async (context) => {
    const site = await activatedSite(context);
    site.write(withHsm({ activated: true }));
    const [up] = await site.run("up --yes --json");
    assert.equal(up?.code, 0, up?.stdout);
    assert.equal(keysIn(site).length, 2);

    site.write(withHsm({ activated: false }));
    const [planned] = await site.run("azure plan --json");
    const { changes } = json<{ changes: { name: string; action: string }[] }>(planned?.stdout);
    assert.deepEqual(
      changes.map(({ action, name }) => `${action} ${name}`),
      [`release ${HSM}/input`, `release ${HSM}/input-direct`],
    );
    site.write(withHsm({ activated: true }));
    const [destroyed] = await site.run("azure destroy --yes --json");
    assert.equal(destroyed?.code, 0, destroyed?.stdout);
    const { kept } = json<{ kept: string[] }>(destroyed.stdout);
    assert.equal(kept.length, 3, String(kept));
    assert.ok(keysIn(site).every(({ deleted }) => deleted === null));
  });

  test("deleted by its name, it is brought back with its keys, and is activated still", async (context) => {
    const site = await activatedSite(context);
    site.write(withHsm({ activated: true }));
    const [up, destroyed, early, doctor] = await site.run(
      "up --yes --json",
      `azure destroy --yes --delete-vault ${HSM} --json`,
      "azure plan --json",
      "doctor azure",
    );
    assert.equal(up?.code, 0, up?.stdout);
    assert.equal(destroyed?.code, 0, destroyed?.stdout);
    assert.equal(errorOf(early).code, "provision.not_activated");
    assert.match(doctor?.stdout ?? "", /^FAIL +name ppml-demo-hsm +a Managed HSM .* was deleted/m);
    site.write(withHsm({ activated: true, recover: true }));
    const [back, again] = await site.run("doctor azure", "up --yes --json");
    assert.match(back?.stdout ?? "", /^ok +name ppml-demo-hsm .* will be brought back$/m);
    assert.equal(again?.code, 0, again?.stdout);
    assert.equal(json<Up>(again.stdout).hsm.state, "active");
    assert.deepEqual(json<Up>(again.stdout).settledKeks, []);
    assert.equal(keysIn(site).length, 2);
  });
});

/** A project whose HSM is made and activated, which the project file does not say yet. */
async function activatedSite(context: TestContext): Promise<Site> {
  const site = await siteIn(context);
  site.write(withHsm());
  await site.run("up --yes");
  await activate(site);
  return site;
}

/** Activates the HSM, lets ARM make its keys, and the operator use them. */
async function activate({ twin }: Site): Promise<void> {
  const owner = twin.base.state.get(TWIN, "twin")?.ownerObjectId ?? "";
  const hsm = await caller(twin, { host: HOST, resource: "https://managedhsm.azure.net" });
  await hsm("POST", "/securitydomain/download?api-version=7.5", DOWNLOAD);
  const setting = "/settings/AllowKeyManagementOperationsThroughARM?api-version=7.6";
  await hsm("PATCH", setting, { value: "true" });
  const role = "/keys/providers/Microsoft.Authorization/roleAssignments/x?api-version=7.6";
  const properties = { principalId: owner, roleDefinitionId: `x/${HSM_ROLES[3]?.id ?? ""}` };
  assert.equal((await hsm("PUT", role, { properties })).status, 201);
}

/** Three keys of nobody's. */
const DOWNLOAD = {
  required: 2,
  certificates: [1, 2, 3].map((number) => ({
    kty: "RSA",
    key_ops: ["encrypt"],
    alg: "RSA-OAEP-256",
    n: Buffer.alloc(256, number).toString("base64url"),
    e: "AQAB",
    x5c: ["AAAA"],
    "x5t#S256": Buffer.alloc(32, number).toString("base64url"),
  })),
};
