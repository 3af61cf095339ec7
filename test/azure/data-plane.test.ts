import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { managedIdentityEnvironment } from "../../src/twin/environment.ts";
import { KEYS, SECRETS } from "../../src/twin/keyvault/documents.ts";
import { addFault } from "../../src/twin/front/faults.ts";
import { ROLE_ASSIGNMENTS } from "../../src/twin/state-kinds.ts";
import { findIdentity } from "../../src/twin/use.ts";
import { runInTwin } from "../twin/running.ts";
import { errorOf, type Site, siteIn, type Step } from "../provision/azure/in-twin.ts";
import { FULL } from "../provision/azure/sections.ts";

const SECRET_NAMES = ["enclave-key-pem", "key-pass"];
const LAKE = "abfss://sealed@ppmldemolake.dfs.core.windows.net";
const { spark, broker } = FULL.identities;

/** Directories of two identities, one of which reads where the other writes. */
const SECTION = {
  // What the steps do not need, and what takes time.
  vm: undefined,
  aks: undefined,
  registry: undefined,
  logAnalytics: undefined,
  storage: {
    ...FULL.storage,
    directories: {
      in: { readers: ["spark"], writers: ["loader"] },
      "out/spark": { writers: ["spark"] },
    },
  },
  identities: {
    broker,
    spark: { ...spark, data: "none" },
    loader: { namespace: "default", serviceAccount: "loader" },
  },
};

type Did = { readonly step: string; readonly place: string; readonly did: string };
const stepsIn = (step: Step | undefined) => {
  const { steps } = JSON.parse(step?.stdout ?? "{}") as { steps?: readonly Did[] };
  assert.ok(steps !== undefined, step?.stdout);
  return steps.map(({ did, place }) => `${did} ${place.split("/").slice(3).join("/")}`);
};

const ALL = ["in", "out/spark", ...SECRET_NAMES.map((name) => `secrets/${name}`)];

describe("ppml up and the data plane, in the double of Azure", () => {
  let site: Site;
  const ends: (() => unknown)[] = [];
  before(async () => {
    site = await siteIn({ after: (end) => void ends.push(end as () => unknown) });
    site.write(SECTION);
  });
  after(async () => {
    for (const end of ends.toReversed()) await end();
  });

  const secretsOf = () =>
    site.twin.base.state
      .list(SECRETS)
      .map(({ document }) => [document.name, document.versions.map(({ value }) => value)] as const);

  test("T320: a release policy that was changed between the deployment and settling is refused, and not made immutable", async () => {
    const { state } = site.twin.base;
    // The deployment ends, and the look at the key's policy after it fails.
    const fault = {
      service: "keyvault",
      method: "GET",
      path: "/keys/input-direct",
      status: 400,
      remaining: 1,
      retryAfterSeconds: null,
    } as const;
    addFault(state, fault, Date.now());
    const [failed] = await site.run("up --yes --json");
    assert.equal(errorOf(failed).code, "azure.failed", failed?.stdout);
    assert.match(
      failed?.stderr ?? "",
      /Then, where not there: directory in, directory out\/spark, secret enclave-key-pem, secret key-pass/,
    );
    const id = "ppml-demo-vault.vault.azure.net/input-direct";
    const made = state.get(KEYS, id);
    assert.ok(made?.releasePolicy?.immutable === false);
    const weak = { version: "1.0.0", anyOf: [{ authority: "https://evil.attest.azure.net" }] };
    const data = Buffer.from(JSON.stringify(weak)).toString("base64url");
    state.put(KEYS, id, { ...made, releasePolicy: { ...made.releasePolicy, data } });
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "provision.protected");
    assert.match(errorOf(refused).message, /KEK input-direct .* another release policy/);
    const left = state.get(KEYS, id)?.releasePolicy;
    assert.deepEqual([left?.data, left?.immutable], [data, false]);
    assert.deepEqual(secretsOf(), []);
    state.put(KEYS, id, made);
  });

  test("apply says which roles wait for their secret, and gives none", async () => {
    const [, applied, shown] = await site.run(
      "azure plan --out plan.json",
      "azure apply plan.json --yes --json",
      "azure apply plan.json --yes",
    );
    assert.equal(applied?.code, 0, applied?.stdout);
    const { secretRoles } = JSON.parse(applied.stdout) as { secretRoles: unknown };
    const waiting = SECRET_NAMES.map((name) => `spark on ${name}`);
    assert.deepEqual(secretRoles, { given: [], waiting });
    assert.match(shown?.stdout ?? "", /The role of spark on key-pass waits for the secret/);
    const assignments = site.twin.base.state.list(ROLE_ASSIGNMENTS);
    assert.ok(!assignments.some(({ id }) => id.includes("/secrets/")));
  });

  test("killed among its steps, up is finished by the next run, and a third has nothing to do", async () => {
    const { state } = site.twin.base;
    const { child, ended } = site.start("up --yes --json");
    for (let looks = 0; secretsOf().length === 0; looks += 1) {
      assert.ok(looks < 3000, "no secret is made within a minute");
      await sleep(20);
    }
    child.kill("SIGKILL");
    await ended;
    const half = secretsOf();
    const [second, third] = await site.run("up --yes --json", "up --json");
    assert.equal(second?.code, 0, second?.stdout);
    assert.deepEqual(
      stepsIn(third),
      ALL.map((place) => `there ${place}`),
    );
    const made = secretsOf();
    assert.deepEqual(made.map(([name]) => name).toSorted(), SECRET_NAMES);
    for (const [name, values] of half) assert.deepEqual(new Map(made).get(name), values);
    for (const [name, values] of made) {
      assert.equal(values.length, 1, name);
      const part = name === "key-pass" ? values[0] : values[0]?.slice(100, 140);
      assert.ok(part !== undefined && part.length > 15);
      for (const { stdout, stderr } of [second, third ?? second])
        assert.ok(!`${stdout}${stderr}`.includes(part), name);
    }
    assert.match(third?.stderr ?? "", /secret https:\S+\/key-pass: there already\./);
    const { secretRoles } = JSON.parse(second.stdout) as { secretRoles: { waiting: string[] } };
    assert.deepEqual(secretRoles.waiting, []);
    assert.match(third?.stdout ?? "", /spark on enclave-key-pem/);
    // The kill may have been before or after each step: what counts is that it all stands now.
    assert.ok(state.list(ROLE_ASSIGNMENTS).some(({ id }) => id.includes("/secrets/key-pass/")));
  });

  test("an identity reads and writes where its directories say, and nowhere else", async () => {
    const source = `
      import { DataLakeServiceClient } from "@azure/storage-file-datalake";
      import { DefaultAzureCredential } from "@azure/identity";
      const lake = new DataLakeServiceClient("https://ppmldemolake.dfs.core.windows.net", new DefaultAzureCredential());
      const fs = lake.getFileSystemClient("sealed");
      const tell = async (call) => { try { await call(); return "may"; } catch (e) { return String(e.statusCode); } };
      const put = (path) => tell(() => fs.getFileClient(path).create());
      const list = (path) => tell(() => fs.listPaths({ path }).next());
      console.log(JSON.stringify([await list("in"), await put("in/x"), await put("out/spark/x"), await put("out/x"), await list("")]));`;
    const { clientId } = findIdentity(site.twin.base.state, "ppml-spark");
    const { environment, running } = site.twin;
    const said = await runInTwin(
      { environment: managedIdentityEnvironment(environment, { clientId, running }) },
      source,
    );
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(JSON.parse(said.stdout), ["may", "403", "may", "403", "403"]);
  });

  test("a right that ppml.yaml gives later is given by the next run, and nothing else is done", async () => {
    const { directories } = SECTION.storage;
    const out = { readers: ["loader"], writers: ["spark"] };
    const storage = { ...SECTION.storage, directories: { ...directories, "out/spark": out } };
    site.write({ ...SECTION, storage });
    const [step, again] = await site.run("up --yes --json", "up --yes --json");
    assert.deepEqual(stepsIn(step), [
      "there in",
      "changed out/spark",
      ...SECRET_NAMES.map((name) => `there secrets/${name}`),
    ]);
    assert.deepEqual(
      stepsIn(again),
      ALL.map((place) => `there ${place}`),
    );
    assert.match(step?.stderr ?? "", new RegExp(`directory ${LAKE}/out/spark: there; its rights`));
  });

  test("told: the name of a deleted secret, with what brings it back", async () => {
    const { state } = site.twin.base;
    const id = "ppml-demo-vault.vault.azure.net/key-pass";
    const found = state.get(SECRETS, id);
    assert.ok(found !== null);
    const at = Math.floor(Date.now() / 1000);
    state.put(SECRETS, id, { ...found, deleted: { at, purge: at + 86_400 } });
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "key.exists", refused?.stdout);
    assert.match(
      errorOf(refused).message,
      /az keyvault secret recover --vault-name ppml-demo-vault --name key-pass, then run this again/,
    );
    state.put(SECRETS, id, found);
    const [done] = await site.run("up");
    assert.equal(done?.code, 0, done?.stdout);
    assert.match(
      done.stdout,
      /is up to date\.[^]*\nNext: ppml data put -r SOURCE\.\.\. DATASET, or/,
    );
  });

  test("told: the role on the vault that is missing", async () => {
    const { state } = site.twin.base;
    // Whoever owns the subscription may then still give roles, and see no secret.
    const officers = state
      .list(ROLE_ASSIGNMENTS)
      .filter(({ document }) =>
        document.roleDefinitionId.endsWith("b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
      );
    assert.equal(officers.length, 1);
    for (const { id } of officers) state.remove(ROLE_ASSIGNMENTS, id);
    const [refused] = await site.run("up --yes --json");
    assert.equal(errorOf(refused).code, "azure.denied", refused?.stdout);
    assert.match(
      errorOf(refused).message,
      /lacks the role "Key Vault Secrets Officer" .*az role assignment create --role "Key Vault Secrets Officer"/,
    );
  });
});
