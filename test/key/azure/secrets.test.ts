import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SecretClient } from "@azure/keyvault-secrets";
import { Secret, utf8 } from "../../../src/base/index.ts";
import { vaultSecrets } from "../../../src/key/azure/secrets.ts";
import { keyVaultTwin } from "../../twin/keyvault/fixture.ts";
import type { KeyVaultTwin } from "../../twin/keyvault/fixture.ts";
import { failureOf, refuses } from "../suite.ts";

describe("secrets of a Key Vault", () => {
  let twin: KeyVaultTwin;
  let url: string;
  before(async () => {
    twin = await keyVaultTwin();
    url = twin.vault("kvs");
  });
  after(() => twin.dispose());

  const open = (role: string, replace = false) => {
    const connection = twin.connect(twin.principal([{ role, vault: "kvs" }]));
    return { connection, sink: vaultSecrets({ url, replace, connection }) };
  };

  test("a secret is set once; another time only where that was said", async () => {
    const { sink, connection } = open("Key Vault Secrets Officer");
    using password = Secret.take(utf8("pass für 東京"));
    const place = await sink.put("key-pass", password);
    assert.match(place, /^https:\/\/kvs\.vault\.azure\.net\/secrets\/key-pass\/[0-9a-f]{32}$/);
    await refuses("provision.exists", sink.put("key-pass", password));
    const again = vaultSecrets({ url, replace: true, connection });
    using other = Secret.take(utf8("second"));
    await again.put("key-pass", other);
    const client = new SecretClient(url, connection.credential, connection.clientOptions);
    assert.equal((await client.getSecret("key-pass")).value, "second");
    using pem = Secret.take(utf8("-----BEGIN RSA PRIVATE KEY-----\n"));
    await sink.put("enclave-key-pem", pem);
    const { properties } = await client.getSecret("enclave-key-pem");
    assert.equal(properties.contentType, "application/x-pem-file");
  });

  test("a missing role, a deleted secret's name, a Managed HSM and a long secret are refused as such", async () => {
    using secret = Secret.take(utf8("x"));
    const failure = await failureOf(open("Key Vault Reader").sink.put("a", secret));
    assert.equal(failure.code, "azure.denied");
    assert.match(failure.message, /lacks the role "Key Vault Secrets Officer"/);
    assert.ok(!failure.message.includes('"x"'));
    const { sink, connection } = open("Key Vault Secrets Officer", true);
    const client = new SecretClient(url, connection.credential, connection.clientOptions);
    await sink.put("gone", secret);
    await (await client.beginDeleteSecret("gone")).pollUntilDone();
    const taken = await failureOf(sink.put("gone", secret));
    assert.equal(taken.code, "key.exists");
    assert.match(taken.message, /az keyvault key recover, or secret recover/);
    using long = Secret.take(new Uint8Array(26_000));
    await refuses("key.not_permitted", sink.put("long", long));
    const hsm = "https://hsm.managedhsm.azure.net";
    assert.throws(() => vaultSecrets({ url: hsm, replace: false, connection }), {
      code: "key.not_permitted",
    });
  });
});
