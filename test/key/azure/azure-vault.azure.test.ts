import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { KeyClient } from "@azure/keyvault-keys";
import { kekIdSchema } from "../../../src/format/kek.ts";
import { AzureVault } from "../../../src/key/azure/azure-vault.ts";
import type { Vault } from "../../../src/key/index.ts";
import { keyVaultTwin } from "../../twin/keyvault/fixture.ts";
import type { KeyVaultTwin, VaultSettings } from "../../twin/keyvault/fixture.ts";
import { failureOf, hexOf, refuses, runVaultSuite, SUITE_POLICY, wrapped } from "../suite.ts";

const OFFICER = "Key Vault Crypto Officer";
const LIMITS = { "hsm-create": 1000, "hsm-3072": 10_000 };

for (const mode of ["simulation", "production"] as const)
  runVaultSuite(`Key Vault (the double's), ${mode}`, async () => {
    const twin = await keyVaultTwin({ limits: LIMITS });
    const url = twin.vault("suite");
    const connection = twin.connect(twin.principal([{ role: OFFICER, vault: "suite" }]));
    const vault = new AzureVault({ url, mode, connection });
    return { vault, mode, destroying: "deletes", dispose: async () => twin.dispose() };
  });

describe("Key Vault as a vault", () => {
  let twin: KeyVaultTwin;
  before(async () => {
    twin = await keyVaultTwin({ limits: LIMITS });
  });
  after(() => twin.dispose());

  let count = 0;
  /** A fresh vault, opened by one who has these roles. */
  const open = (options: {
    readonly roles?: readonly string[];
    readonly settings?: VaultSettings;
    readonly mode?: "simulation" | "production";
    readonly name?: string;
    readonly maxRetries?: number;
    readonly expired?: boolean;
  }) => {
    const { roles = [OFFICER], settings = {}, mode = "production", maxRetries = 0 } = options;
    const name = options.name ?? `kv${(count += 1)}`;
    const url = options.name === undefined ? twin.vault(name, settings) : urlOf(name);
    const principal = twin.principal(roles.map((role) => ({ role, vault: name })));
    const connection = twin.connect(principal, { maxRetries, expired: options.expired ?? false });
    const vault: Vault & Pick<AzureVault, "fixReleasePolicy"> = new AzureVault({
      url,
      mode,
      connection,
      random: () => 0,
    });
    const client = new KeyClient(url, connection.credential, connection.clientOptions);
    return { vault, client, name, url, principal };
  };

  test("a KEK is an HSM key that wraps and unwraps and does nothing else, and its id is its URL", async () => {
    const { vault, client, url } = open({});
    const kek = await vault.createKek({ name: "flights", kind: "unwrap-only", bits: 4096 });
    assert.equal(kek.kekId, `${url}/keys/flights`);
    assert.ok(kekIdSchema.safeParse(kek.kekId).success);
    const key = await client.getKey("flights");
    assert.deepEqual(key.keyOperations, ["wrapKey", "unwrapKey"]);
    assert.deepEqual([key.keyType, key.properties.exportable], ["RSA-HSM", false]);
    assert.equal(kek.versions[0]?.bits, 4096);
  });

  test("one call unwraps a distinct wrapped key, however often it is asked for", async () => {
    const { vault } = open({});
    const { kekId } = await vault.createKek({ name: "many", kind: "unwrap-only" });
    const first = await wrapped(vault, kekId);
    const second = await wrapped(vault, kekId);
    (await vault.unwrap(first.request))[Symbol.dispose]();
    const before1 = twin.requests.length;
    const requests = [first, second, first, first, second].map(({ request }) => request);
    const secrets = await vault.unwrapAll(requests);
    const { hex: a } = first;
    const { hex: b } = second;
    assert.deepEqual(secrets.map(hexOf), [a, b, a, a, b]);
    const calls = twin.requests.slice(before1);
    assert.equal(calls.filter((call) => call.includes("/unwrapkey")).length, 2);
    assert.equal(calls.length, 2, calls.join("\n"));
  });

  test("T276: nothing is sealed for an exportable KEK whose policy can still be changed", async () => {
    const { vault, client, url } = open({});
    // As an ARM template makes it: there is no member for the policy's immutability.
    const encodedPolicy = Buffer.from(JSON.stringify(SUITE_POLICY));
    await client.createRsaKey("arm", {
      hsm: true,
      keySize: 3072,
      exportable: true,
      keyOps: ["wrapKey"],
      releasePolicy: { encodedPolicy, immutable: false },
    });
    const kekId = `${url}/keys/arm`;
    assert.deepEqual((await vault.showKek(kekId)).releasePolicy, SUITE_POLICY);
    const failure = await failureOf(vault.publicKey(kekId));
    assert.equal(failure.code, "key.not_permitted");
    assert.match(failure.message, /can still be changed.*ppml key fix-policy/);
    await vault.fixReleasePolicy(kekId);
    assert.equal((await vault.publicKey(kekId)).kind, "exportable");
    assert.equal((await client.getKey("arm")).properties.releasePolicy?.immutable, true);
    const other = await vault.createKek({ name: "inner", kind: "unwrap-only" });
    await refuses("key.not_permitted", vault.fixReleasePolicy(other.kekId));
  });

  test("T277: tags decide nothing: neither kind nor mode nor which key unwraps", async () => {
    const { vault, client, name } = open({});
    const kek = await vault.createKek({ name: "tagged", kind: "unwrap-only", purpose: "true" });
    const { request, hex } = await wrapped(vault, kek.kekId);
    await client.updateKeyProperties("tagged", {
      tags: {
        "ppml-use": "exportable",
        "ppml-mode": "simulation",
        "ppml-version": "0".repeat(32),
        "ppml-bits": "1",
        "ppml-off": "kek version",
        "ppml-purpose": "a\u0007lie",
      },
    });
    // A vault that was opened since knows nothing but what the key and its tags say.
    const { vault: later } = open({ name });
    const shown = await later.showKek(kek.kekId);
    assert.deepEqual(
      { ...shown, purpose: null },
      { ...kek, purpose: null },
      "all but the purpose comes from the key",
    );
    using secret = await later.unwrap(request);
    assert.equal(hexOf(secret), hex);
    const { vault: simulated } = open({ name, mode: "simulation" });
    assert.deepEqual(await simulated.listKeks(), []);
    await refuses("key.vault_mode", simulated.unwrap(request));
    await refuses("key.vault_mode", simulated.showKek(kek.kekId));
  });

  test("T277: a production KEK cannot have a simulation's name, nor the other way", async () => {
    const { vault, name } = open({});
    await refuses("key.not_permitted", vault.createKek({ name: "sim-a", kind: "unwrap-only" }));
    const { vault: simulated } = open({ name, mode: "simulation" });
    const kek = await simulated.createKek({ name: "a", kind: "unwrap-only" });
    assert.match(kek.kekId, /\/keys\/sim-a$/);
    await refuses("key.vault_mode", vault.publicKey(kek.kekId));
    assert.deepEqual(await vault.listKeks(), []);
  });

  test("T278: a key that is exportable and unwraps, or does more than a KEK, is none", async () => {
    const { vault, client, url } = open({});
    const encodedPolicy = Buffer.from(JSON.stringify(SUITE_POLICY));
    const policy = { exportable: true, releasePolicy: { encodedPolicy, immutable: true } };
    const size = { hsm: true, keySize: 3072 };
    await client.createRsaKey("both", { ...size, ...policy, keyOps: ["wrapKey", "unwrapKey"] });
    await client.createRsaKey("decrypts", { ...size, keyOps: ["wrapKey", "unwrapKey", "decrypt"] });
    await client.createRsaKey("signs", size);
    await client.createRsaKey("small", { keySize: 2048, keyOps: ["wrapKey", "unwrapKey"] });
    await client.createEcKey("curve");
    assert.deepEqual(await vault.listKeks(), []);
    for (const name of ["both", "decrypts", "signs", "small", "curve"]) {
      await refuses("key.not_permitted", vault.publicKey(`${url}/keys/${name}`));
      await refuses("key.not_permitted", vault.destroyKek(`${url}/keys/${name}`));
      await refuses("key.exists", vault.createKek({ name, kind: "unwrap-only" }));
    }
    // Operations added later count from then on.
    const kek = await vault.createKek({
      name: "later",
      kind: "exportable",
      releasePolicy: SUITE_POLICY,
    });
    await client.updateKeyProperties("later", { keyOps: ["wrapKey", "unwrapKey"] });
    await refuses("key.not_permitted", vault.publicKey(kek.kekId));
  });

  test("T279: under purge protection a destroyed KEK is deleted, and only the purge destroys it", async () => {
    const { vault, client } = open({});
    const kek = await vault.createKek({ name: "gone", kind: "unwrap-only" });
    const { request, hex } = await wrapped(vault, kek.kekId);
    const deleted = await vault.destroyKek(kek.kekId);
    assert.equal(deleted.state, "deleted");
    assert.match(deleted.recoverableUntil ?? "", /^\d{4}-/);
    assert.deepEqual((await vault.listKeks())[0], deleted);
    const failure = await failureOf(vault.unwrap(request));
    assert.equal(failure.code, "key.destroyed");
    assert.match(failure.message, /until .* can bring it back \(az keyvault key recover\)/);
    await (await client.beginRecoverDeletedKey("gone")).pollUntilDone();
    using secret = await vault.unwrap(request);
    assert.equal(hexOf(secret), hex);

    const { vault: open1 } = open({ settings: { purgeProtection: false } });
    const other = await open1.createKek({ name: "gone", kind: "unwrap-only" });
    const purged = await open1.destroyKek(other.kekId);
    assert.deepEqual([purged.state, purged.recoverableUntil], ["destroyed", null]);
    await refuses("key.not_found", open1.showKek(other.kekId));
  });

  test("a version that was disabled by itself stays so when the whole KEK is disabled and enabled", async () => {
    const { vault } = open({});
    const kek = await vault.createKek({ name: "switch", kind: "unwrap-only" });
    await vault.rotateKek(kek.kekId);
    await vault.disableKek(kek.kekId, kek.currentVersion);
    const off = await vault.disableKek(kek.kekId);
    assert.equal(off.state, "disabled");
    assert.deepEqual(
      off.versions.map(({ state }) => state),
      ["disabled", "enabled"],
    );
    const { vault: later } = open({ name: nameOfUrl(vault.vaultId) });
    const back = await later.enableKek(kek.kekId);
    assert.equal(back.state, "enabled");
    assert.deepEqual(
      back.versions.map(({ state }) => state),
      ["disabled", "enabled"],
    );
    const all = await later.enableKek(kek.kekId, kek.currentVersion);
    assert.deepEqual(
      all.versions.map(({ state }) => state),
      ["enabled", "enabled"],
    );
  });

  test("a missing role is named, with the command that gives it", async () => {
    const { name, principal, vault } = open({ roles: ["Key Vault Reader"] });
    const failure = await failureOf(vault.createKek({ name: "a", kind: "unwrap-only" }));
    assert.equal(failure.code, "azure.denied");
    assert.match(failure.message, /lacks the role "Key Vault Crypto Officer"/);
    assert.ok(failure.message.includes(`--assignee-object-id ${principal.objectId}`));
    assert.match(failure.message, new RegExp(`--scope /subscriptions/.*/vaults/${name}\\.`));
    const { vault: officer } = open({ name });
    const kek = await officer.createKek({ name: "a", kind: "unwrap-only" });
    const { request } = await wrapped(officer, kek.kekId);
    const denied = await failureOf(vault.unwrap(request));
    assert.match(denied.message, /lacks the role "Key Vault Crypto Service Encryption User"/);
    assert.match(denied.message, /--scope [^ ]*\/keys\/a\. /);
    const { vault: broker } = open({ name, roles: ["Key Vault Crypto Service Encryption User"] });
    (await broker.unwrap(request))[Symbol.dispose]();
  });

  test("an expired login, a vault that is not there and a name of no vault say what to do", async () => {
    const { vault } = open({ expired: true });
    const late = await failureOf(vault.listKeks());
    assert.equal(late.code, "azure.login");
    assert.match(late.message, /az login/);
    const gone = await failureOf(open({ name: "nowhere", roles: [] }).vault.listKeks());
    assert.equal(gone.code, "azure.unreachable");
    assert.match(gone.message, /az keyvault list-deleted.*az keyvault recover --name nowhere/s);
    const { connection } = { connection: twin.connect(twin.principal([])) };
    for (const url of [
      "http://a.vault.azure.net",
      "https://a.vault.example",
      "https://a.vault.azure.net/x",
    ])
      assert.throws(() => new AzureVault({ url, mode: "production", connection }), {
        code: "key.vault_missing",
      });
  });

  test("throttling is waited for with jitter, and told where the retries do not help", async () => {
    const slow = await keyVaultTwin({ limits: { "hsm-3072": 2 }, nowMs: Date.now() });
    try {
      const url = slow.vault("slow");
      const principal = slow.principal([{ role: OFFICER, vault: "slow" }]);
      const impatient = new AzureVault({
        url,
        mode: "production",
        connection: slow.connect(principal, { maxRetries: 0 }),
      });
      const { kekId } = await impatient.createKek({ name: "k", kind: "unwrap-only" });
      const { request } = await wrapped(impatient, kekId);
      for (let index = 0; index < 2; index += 1)
        (await impatient.unwrap(request))[Symbol.dispose]();
      const failure = await failureOf(impatient.unwrap(request));
      assert.equal(failure.code, "azure.throttled");
      assert.match(failure.message, /it asks to wait 10 s/);
      slow.time.nowMs += 9_500;
      const patient = new AzureVault({
        url,
        mode: "production",
        connection: slow.connect(principal, { maxRetries: 3 }),
        random: () => 1,
      });
      const started = performance.now();
      const moving = setTimeout(() => (slow.time.nowMs += 1_000), 600);
      (await patient.unwrap(request))[Symbol.dispose]();
      clearTimeout(moving);
      // One second as the vault asks, and a quarter more.
      assert.ok(performance.now() - started >= 1_200);
    } finally {
      slow.dispose();
    }
  });

  test("a Managed HSM is a vault too", async () => {
    const hsmTwin = await keyVaultTwin();
    try {
      const user = hsmTwin.principal([]);
      const admin = hsmTwin.principal([]);
      const url = hsmTwin.vault("hsm", { kind: "hsm", administrators: [admin.objectId] });
      const token = await hsmTwin
        .connect(admin)
        .credential.getToken("https://managedhsm.azure.net/.default");
      for (const role of [
        "21dbd100-6940-42c2-9190-5d6cb909625b",
        "515eb02d-2335-4d2d-92f2-b1cbdf9c3778",
      ])
        await hsmTwin.fetch(
          new Request(
            `${url}/providers/Microsoft.Authorization/roleAssignments/${role}?api-version=7.6`,
            {
              method: "PUT",
              headers: { authorization: `Bearer ${token?.token ?? ""}`, host: new URL(url).host },
              body: JSON.stringify({
                properties: { principalId: user.objectId, roleDefinitionId: `x/${role}` },
              }),
            },
          ),
        );
      const connection = hsmTwin.connect(user);
      const vault = new AzureVault({ url, mode: "production", connection });
      const kek = await vault.createKek({ name: "hsm-kek", kind: "unwrap-only" });
      const { request, hex } = await wrapped(vault, kek.kekId);
      using secret = await vault.unwrap(request);
      assert.equal(hexOf(secret), hex);
      assert.equal((await vault.destroyKek(kek.kekId)).state, "deleted");
      const nobody = new AzureVault({
        url,
        mode: "production",
        connection: hsmTwin.connect(hsmTwin.principal([])),
      });
      const failure = await failureOf(nobody.createKek({ name: "b", kind: "unwrap-only" }));
      assert.match(failure.message, /az keyvault role assignment create --hsm-name hsm/);
    } finally {
      hsmTwin.dispose();
    }
  });
});

function urlOf(name: string): string {
  return `https://${name}.vault.azure.net`;
}

function nameOfUrl(host: string): string {
  return host.split(".")[0] ?? "";
}
