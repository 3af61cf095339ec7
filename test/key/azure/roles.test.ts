import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { AzureVault } from "../../../src/key/azure/azure-vault.ts";
import { toVaultFailure } from "../../../src/key/azure/failure.ts";
import { HSM_ROLES } from "../../../src/twin/keyvault/hsm-roles.ts";
import { VAULT_ROLES } from "../../../src/twin/rbac/vault-roles.ts";
import { keyVaultTwin } from "../../twin/keyvault/fixture.ts";
import type { KeyVaultTwin } from "../../twin/keyvault/fixture.ts";
import { failureOf } from "../suite.ts";

/** Whether a role, by Azure's definition, unwraps, decrypts, exports or gives out keys. */
function opens(roleName: string): boolean {
  const role = [...VAULT_ROLES, ...HSM_ROLES].find((one) => one.roleName === roleName);
  assert.ok(role !== undefined, roleName);
  return role.dataActions.some((action) =>
    /(?:vaults|keys)\/\*$|\/(?:unwrap|decrypt|release|export|getSecret)\/action$/i.test(action),
  );
}

/** The role and the scope that a message's command gives. */
function commandOf(message: string): { readonly role: string; readonly scope: string } {
  const found = /--role "([^"]+)" .*--scope (\S+)\. A new/.exec(message);
  assert.ok(found !== null, message);
  const [, role = "", scope = ""] = found;
  return { role, scope };
}

describe("the remedy for a missing role of Key Vault", () => {
  let twin: KeyVaultTwin;
  before(async () => {
    twin = await keyVaultTwin();
    twin.vault("kvr");
    twin.vault("hsmr", { kind: "hsm" });
  });
  after(() => twin.dispose());

  const open = (kind: "vault" | "managedhsm") => {
    const connection = twin.connect(twin.principal([]));
    const name = kind === "vault" ? "kvr" : "hsmr";
    const url = `https://${name}.${kind}.azure.net`;
    const vault = new AzureVault({ url, mode: "simulation", connection });
    const { credential, clientOptions } = connection;
    const client = new KeyClient(url, credential, clientOptions);
    /** The failure of a call of the SDK on the key `sim-k`, as the product tells it. */
    const refused = async (call: (keyId: string) => Promise<unknown>) => {
      const host = new URL(url).host;
      const failing = call(`${url}/keys/sim-k/${"0".repeat(32)}`).catch((error: unknown) => {
        throw toVaultFailure(error, { what: "do it", host });
      });
      return (await failureOf(failing)).message;
    };
    const crypto = (id: string) => new CryptographyClient(id, credential, clientOptions);
    return { vault, client, crypto, refused, url };
  };

  for (const kind of ["vault", "managedhsm"] as const)
    test(`T166: who may not list or read keys of a ${kind} is told of a role that opens nothing`, async () => {
      const { vault, url } = open(kind);
      const kekId = `${url}/keys/sim-k`;
      for (const call of [
        () => vault.listKeks(),
        () => vault.showKek(kekId),
        () => vault.publicKey(kekId),
      ]) {
        const failure = await failureOf(call());
        assert.equal(failure.code, "azure.denied");
        const { role } = commandOf(failure.message);
        assert.equal(role, kind === "vault" ? "Key Vault Reader" : "Managed HSM Crypto Auditor");
        assert.ok(!opens(role));
      }
    });

  for (const kind of ["vault", "managedhsm"] as const)
    test(`T166: rights to unwrap and to release are proposed at the KEK alone: ${kind}`, async () => {
      const { crypto, client, refused } = open(kind);
      const wrapped = new Uint8Array(384);
      const unwrap = await refused((id) => crypto(id).unwrapKey("RSA-OAEP-256", wrapped));
      const release = await refused(() => client.releaseKey("sim-k", "token"));
      for (const [message, role] of [
        [unwrap, "Crypto Service Encryption User"],
        [release, "Crypto Service Release User"],
      ] as const) {
        const given = commandOf(message);
        assert.ok(given.role.endsWith(role), message);
        assert.match(
          given.scope,
          kind === "vault" ? /\/vaults\/kvr\/keys\/sim-k$/ : /^\/keys\/sim-k$/,
        );
      }
      assert.match(unwrap, /Only a broker's identity may have it/);
    });

  test("T166: no role is proposed for wrapping, which ppml does not ask a vault for", async () => {
    const { crypto, refused } = open("vault");
    const message = await refused((id) => crypto(id).wrapKey("RSA-OAEP-256", new Uint8Array(32)));
    assert.match(message, /may not do .*wrap\/action: ask the vault's owner/);
  });

  test("T166: a role that manages keys, and opens data too, comes with that warning", async () => {
    const { client, refused } = open("vault");
    const message = await refused(() => client.createRsaKey("sim-new", { hsm: true }));
    assert.equal(commandOf(message).role, "Key Vault Crypto Officer");
    assert.match(message, /opens data too: .*never to a broker or a workload/);
  });

  test("a Managed HSM that is not activated is told as that, and not as a role that is missing", async () => {
    const url = twin.vault("hsm-new", { kind: "hsm", activated: false });
    const connection = twin.connect(twin.principal([]));
    const vault = new AzureVault({ url, mode: "simulation", connection });
    const calls = [() => vault.listKeks(), () => vault.showKek(`${url}/keys/sim-k`)];
    for (const call of calls) {
      const { code, message } = await failureOf(call());
      assert.equal(code, "azure.denied");
      assert.match(message, /the Managed HSM hsm-new is not activated, .*`ppml up` prints what/);
      assert.doesNotMatch(message, /lacks a role/);
    }
  });
});
