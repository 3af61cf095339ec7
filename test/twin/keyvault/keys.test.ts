import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { HSM_ASSIGNMENTS, HSM_ROLES } from "../../../src/twin/keyvault/hsm-roles.ts";
import { keyVaultTwin } from "./fixture.ts";
import type { KeyVaultTwin } from "./fixture.ts";

const POLICY = {
  version: "1.0.0",
  anyOf: [
    {
      authority: "https://maa.attest.simulation.invalid",
      allOf: [{ claim: "x-ms-attestation-type", equals: "sevsnpvm" }],
    },
  ],
};
const encodedPolicy = Buffer.from(JSON.stringify(POLICY));

describe("the double of Key Vault, asked by Microsoft's SDK: keys", () => {
  let twin: KeyVaultTwin;
  let url: string;
  let client: KeyClient;
  const clientOf = (roles: readonly string[], vault = "kv", where = url): KeyClient => {
    const connection = twin.connect(twin.principal(roles.map((role) => ({ role, vault }))));
    return new KeyClient(where, connection.credential, connection.clientOptions);
  };

  before(async () => {
    twin = await keyVaultTwin({ limits: { "hsm-create": 1000, "software-create": 1000 } });
    url = twin.vault("kv");
    client = clientOf(["Key Vault Crypto Officer"]);
  });
  after(() => twin.dispose());

  test("a key is made, got, listed with its versions, changed, rotated, with the challenge verified", async () => {
    const made = await client.createRsaKey("first", {
      hsm: true,
      keySize: 3072,
      keyOps: ["wrapKey", "unwrapKey"],
      tags: { purpose: "für 東京" },
    });
    assert.equal(made.keyType, "RSA-HSM");
    assert.equal(made.key?.n?.byteLength, 384);
    assert.equal(made.key?.d, undefined);
    assert.deepEqual(made.keyOperations, ["wrapKey", "unwrapKey"]);
    assert.equal(made.properties.recoveryLevel, "Recoverable");
    const rotated = await client.rotateKey("first");
    assert.notEqual(rotated.id, made.id);
    assert.deepEqual(rotated.properties.tags, { purpose: "für 東京" });
    assert.deepEqual(rotated.keyOperations, made.keyOperations);
    assert.equal((await client.getKey("first")).id, rotated.id);
    const version = made.properties.version ?? "";
    const old = await client.updateKeyProperties("first", version, { enabled: false });
    assert.equal(old.properties.enabled, false);
    await refused(client.getKey("first", { version }), {
      status: 403,
      message: /Operation get is not allowed on a disabled key/,
    });
    const versions: (string | undefined)[] = [];
    for await (const one of client.listPropertiesOfKeyVersions("first")) versions.push(one.version);
    assert.deepEqual(new Set(versions), new Set([version, rotated.properties.version]));
  });

  test("lists come in pages, and every page is read", async () => {
    for (let index = 0; index < 27; index += 1) await client.createEcKey(`page-${index}`);
    const names: string[] = [];
    for await (const { name } of client.listPropertiesOfKeys()) names.push(name);
    assert.equal(names.filter((name) => name.startsWith("page-")).length, 27);
  });

  test("wrapping by the SDK with RSA-OAEP-256 comes back, and SHA-1 is refused unless asked for", async () => {
    const key = await client.createRsaKey("wraps", { hsm: true, keySize: 2048 });
    const connection = twin.connect(
      twin.principal([{ role: "Key Vault Crypto User", vault: "kv" }]),
    );
    const crypto = new CryptographyClient(
      key.id ?? "",
      connection.credential,
      connection.clientOptions,
    );
    const plain = randomBytes(32);
    const wrapped = await crypto.wrapKey("RSA-OAEP-256", plain);
    const { result } = await crypto.unwrapKey("RSA-OAEP-256", wrapped.result);
    assert.deepEqual(Buffer.from(result), plain);
    await refused(crypto.unwrapKey("RSA-OAEP", wrapped.result), { status: 400, message: /alg/ });
    const bad = Uint8Array.from(wrapped.result);
    bad[10] = (bad[10] ?? 0) ^ 1;
    await refused(crypto.unwrapKey("RSA-OAEP-256", bad), { status: 400, message: /incorrect/ });
    const digest = randomBytes(32);
    const signature = await crypto.sign("RS256", digest);
    assert.equal((await crypto.verify("RS256", digest, signature.result)).result, true);
    assert.equal((await crypto.verify("RS256", randomBytes(32), signature.result)).result, false);
  });

  test("an operation that the key's key_ops leave out is refused", async () => {
    const keyOps = ["wrapKey", "unwrapKey"];
    const { id = "" } = await client.createRsaKey("only-wraps", { keyOps });
    const connection = twin.connect(
      twin.principal([{ role: "Key Vault Crypto User", vault: "kv" }]),
    );
    const crypto = new CryptographyClient(id, connection.credential, connection.clientOptions);
    const { result } = await crypto.wrapKey("RSA-OAEP-256", randomBytes(32));
    await crypto.unwrapKey("RSA-OAEP-256", result);
    await client.updateKeyProperties("only-wraps", { keyOps: ["wrapKey"] });
    await refused(crypto.unwrapKey("RSA-OAEP-256", result), {
      status: 403,
      message: /Operation unwrapKey is not permitted on this key/,
    });
  });

  test("an exportable key needs an HSM and a policy, and an immutable policy stays", async () => {
    const bad = { status: 400 };
    await refused(client.createRsaKey("e1", { hsm: true, exportable: true }), {
      ...bad,
      message: /AKV\.SKR\.1004/,
    });
    const releasePolicy = { encodedPolicy, immutable: true };
    await refused(client.createRsaKey("e2", { exportable: true, releasePolicy }), {
      ...bad,
      message: /AKV\.SKR\.1006/,
    });
    await refused(client.createRsaKey("e3", { hsm: true, releasePolicy }), {
      ...bad,
      message: /AKV\.SKR\.1005/,
    });
    const options = { hsm: true, exportable: true, releasePolicy };
    const made = await client.createRsaKey("e4", options);
    assert.equal(made.properties.exportable, true);
    const changed = { ...POLICY, anyOf: [...POLICY.anyOf, ...POLICY.anyOf] };
    const other = { encodedPolicy: Buffer.from(JSON.stringify(changed)), immutable: false };
    await refused(client.updateKeyProperties("e4", { releasePolicy: other }), {
      ...bad,
      message: /AKV\.SKR\.1020/,
    });
    const version = made.properties.version ?? "";
    await refused(client.updateKeyProperties("e4", version, { releasePolicy: other }), {
      ...bad,
      message: /AKV\.SKR\.1016/,
    });
    await refused(client.createRsaKey("e4", { ...options, releasePolicy: other }), {
      ...bad,
      message: /AKV\.SKR\.1020/,
    });
    const kept = (await client.rotateKey("e4")).properties.releasePolicy?.encodedPolicy;
    assert.deepEqual(JSON.parse(Buffer.from(kept ?? []).toString()), POLICY);
  });

  test("a deleted key can be recovered; purge protection refuses the purge; the clock does it", async () => {
    await client.createRsaKey("gone");
    const poller = await client.beginDeleteKey("gone");
    const deleted = await poller.pollUntilDone();
    assert.ok(deleted.properties.scheduledPurgeDate);
    await refused(client.getKey("gone"), {
      status: 404,
      message: /was not found in this key vault/,
    });
    await refused(client.createRsaKey("gone"), {
      status: 409,
      message: /deleted but recoverable state/,
    });
    await refused(client.purgeDeletedKey("gone"), { status: 403, message: /purge protection/ });
    await (await client.beginRecoverDeletedKey("gone")).pollUntilDone();
    assert.equal((await client.getKey("gone")).name, "gone");
    await (await client.beginDeleteKey("gone")).pollUntilDone();
    const ahead = 91 * 86_400_000;
    twin.time.nowMs += ahead;
    await refused(client.getDeletedKey("gone"), { status: 404, message: /not found/ });
    await client.createRsaKey("gone");
    twin.time.nowMs -= ahead;
  });

  test("without purge protection a deleted key is purged, and its name is free", async () => {
    const open = twin.vault("kvopen", { purgeProtection: false, retentionDays: 7 });
    const officer = clientOf(["Key Vault Crypto Officer"], "kvopen", open);
    const made = await officer.createRsaKey("gone");
    assert.equal(made.properties.recoveryLevel, "CustomizedRecoverable+Purgeable");
    await (await officer.beginDeleteKey("gone")).pollUntilDone();
    await officer.purgeDeletedKey("gone");
    const again = await officer.createRsaKey("gone");
    assert.notEqual(again.id, made.id);
  });

  test("a key that was imported or backed up is the same key", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const jwk = privateKey.export({ format: "jwk" });
    const bytes = (name: string): Uint8Array =>
      Buffer.from(String(Reflect.get(jwk, name)), "base64url");
    const members = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    const made = await client.importKey("taken", {
      kty: "RSA",
      keyOps: ["encrypt", "decrypt"],
      ...Object.fromEntries(members.map((name) => [name, bytes(name)])),
    });
    const { n = "" } = publicKey.export({ format: "jwk" });
    assert.equal(Buffer.from(made.key?.n ?? []).toString("base64url"), n);
    const backup = await client.backupKey("taken");
    assert.ok(backup !== undefined && !Buffer.from(backup).includes(Buffer.from(bytes("d"))));
    await refused(client.restoreKeyBackup(backup), { status: 409, message: /already exists/ });
    const other = twin.vault("kvother");
    const officer = clientOf(["Key Vault Crypto Officer"], "kvother", other);
    assert.equal((await officer.restoreKeyBackup(backup)).key?.n?.byteLength, 256);
    const bad = Uint8Array.from(backup);
    bad[20] = (bad[20] ?? 0) ^ 1;
    await refused(officer.restoreKeyBackup(bad), { status: 400, message: /invalid/ });
  });

  test("a standard vault has no HSM, and a Managed HSM no other keys and roles of its own", async () => {
    const standard = twin.vault("kvstd", { sku: "standard" });
    const officer = clientOf(["Key Vault Crypto Officer"], "kvstd", standard);
    await refused(officer.createRsaKey("k", { hsm: true }), {
      status: 403,
      message: /Hardware key operation not allowed on standard vault/,
    });
    const admin = twin.principal([]);
    const hsm = twin.vault("hsm", { kind: "hsm", administrators: [admin.objectId] });
    const user = twin.principal([]);
    const asUser = twin.connect(user);
    const keys = new KeyClient(hsm, asUser.credential, asUser.clientOptions);
    const octKey = () => keys.createOctKey("o", { hsm: true, keySize: 256 });
    await refused(octKey(), { status: 403, message: /managedHsm\/keys\/create/ });
    const asAdmin = twin.connect(admin);
    const token = await asAdmin.credential.getToken("https://managedhsm.azure.net/.default");
    const assigned = await twin.fetch(
      new Request(
        `${hsm}/keys/providers/Microsoft.Authorization/roleAssignments/${user.objectId}?api-version=7.6`,
        {
          method: "PUT",
          headers: { authorization: `Bearer ${token?.token ?? ""}`, host: new URL(hsm).host },
          body: JSON.stringify({
            properties: {
              principalId: user.objectId,
              roleDefinitionId: "x/roleDefinitions/21dbd100-6940-42c2-9190-5d6cb909625b",
            },
          }),
        },
      ),
    );
    assert.equal(assigned.status, 201);
    assert.equal((await octKey()).keyType, "oct-HSM");
    await refused(keys.createKey("s", "RSA"), { status: 400, message: /Managed HSM/ });
  });

  test("a role at all keys of a Managed HSM lists them, one at a single key does not", async () => {
    const admin = twin.principal([]);
    const hsm = twin.vault("hsmlist", { kind: "hsm", administrators: [admin.objectId] });
    const host = new URL(hsm).host;
    const auditor = HSM_ROLES.find(({ roleName }) => roleName === "Managed HSM Crypto Auditor");
    const listing = async (scope: string) => {
      const principal = twin.principal([]);
      const { objectId: principalId } = principal;
      const document = { name: principalId, principalId, role: auditor?.id ?? "", scope };
      twin.base.state.put(HSM_ASSIGNMENTS, `${host}/${principalId}`, document);
      const { credential, clientOptions } = twin.connect(principal);
      const asked = new KeyClient(hsm, credential, clientOptions);
      return [asked.listPropertiesOfKeys(), asked.listDeletedKeys()].map((list) => list.next());
    };
    for (const scope of ["/", "/keys"])
      for (const list of await listing(scope)) assert.equal((await list).done, true, scope);
    // Both at once: one that is refused before anybody waits for it would fail the test.
    const refusals = await listing("/keys/one");
    await Promise.all(refusals.map((list) => assert.rejects(list, /403/)));
  });

  test("what a role assignment does not give is refused with the action's name", async () => {
    await client.createRsaKey("guarded", { hsm: true });
    const reader = clientOf(["Key Vault Reader"]);
    assert.equal((await reader.getKey("guarded")).name, "guarded");
    await refused(reader.createRsaKey("mine"), {
      status: 403,
      message: /Action: 'Microsoft\.KeyVault\/vaults\/keys\/create\/action'/,
    });
    const nobody = clientOf([]);
    await refused(nobody.getKey("guarded"), { status: 403, message: /keys\/read/ });
    const elsewhere = twin.connect(
      twin.principal([{ role: "Key Vault Crypto User", vault: "kv", below: "/keys/guarded" }]),
    );
    const one = new KeyClient(url, elsewhere.credential, elsewhere.clientOptions);
    assert.equal((await one.getKey("guarded")).name, "guarded");
    await refused(one.getKey("wraps"), { status: 403, message: /keys\/read/ });
  });

  test("an expired token, a vault that ARM does not have and an unknown version are refused", async () => {
    const expired = twin.connect(
      twin.principal([{ role: "Key Vault Crypto Officer", vault: "kv" }]),
      { expired: true },
    );
    const late = new KeyClient(url, expired.credential, expired.clientOptions);
    await refused(late.getKey("first"), { status: 401, message: /expired/ });
    const none = clientOf([], "kv", "https://nowhere.vault.azure.net");
    await refused(none.getKey("first"), { status: 404, message: /No such host/ });
    const connection = twin.connect(twin.principal([]));
    const old = new KeyClient(url, connection.credential, {
      ...connection.clientOptions,
      serviceVersion: "7.0",
    });
    await refused(old.getKey("first"), { status: 400, message: /version \(7\.0\)/ });
  });
});

describe("the double of Key Vault: limits", () => {
  test("the eleventh HSM key in ten seconds is refused with the time to wait", async () => {
    const twin = await keyVaultTwin({ nowMs: 1_764_000_000_000 });
    try {
      const url = twin.vault("kv");
      const connection = twin.connect(
        twin.principal([{ role: "Key Vault Crypto Officer", vault: "kv" }]),
      );
      const client = new KeyClient(url, connection.credential, connection.clientOptions);
      for (let index = 0; index < 10; index += 1)
        await client.createEcKey(`k${index}`, { hsm: true });
      twin.time.nowMs += 3_000;
      const failure = await refused(client.createEcKey("k10", { hsm: true }), {
        status: 429,
        message: /VaultRequestTypeLimitReached/,
      });
      assert.equal(failure.response?.headers.get("retry-after"), "7");
      twin.time.nowMs += 7_000;
      await client.createEcKey("k10", { hsm: true });
    } finally {
      twin.dispose();
    }
  });
});

type RestFailure = Error & {
  readonly statusCode?: number;
  readonly response?: { readonly headers: { readonly get: (name: string) => string | undefined } };
};

async function refused(
  promise: Promise<unknown>,
  expected: { readonly status: number; readonly message: RegExp },
): Promise<RestFailure> {
  const failure: RestFailure = await promise.then(
    () => new Error("it did not reject"),
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  assert.equal(failure.statusCode, expected.status, failure.message);
  assert.match(failure.message, expected.message);
  return failure;
}
