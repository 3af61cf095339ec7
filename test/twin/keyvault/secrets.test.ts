import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { SecretClient } from "@azure/keyvault-secrets";
import type { AzureConnection } from "../../../src/azure/index.ts";
import { keyVaultTwin } from "./fixture.ts";
import type { KeyVaultTwin } from "./fixture.ts";

describe("the double of Key Vault: secrets and certificates", () => {
  let twin: KeyVaultTwin;
  let url: string;
  let connection: AzureConnection;
  let client: SecretClient;

  before(async () => {
    twin = await keyVaultTwin();
    url = twin.vault("kv", { retentionDays: 7, purgeProtection: false });
    connection = twin.connect(
      twin.principal([
        { role: "Key Vault Secrets Officer", vault: "kv" },
        { role: "Key Vault Certificates Officer", vault: "kv" },
      ]),
    );
    client = new SecretClient(url, connection.credential, connection.clientOptions);
  });
  after(() => twin.dispose());

  test("a secret is set, got by version, listed without its value, changed, deleted, recovered, purged", async () => {
    const first = await client.setSecret("key-pass", "one", { contentType: "text/plain" });
    const second = await client.setSecret("key-pass", "zwei 東京", { tags: { a: "b" } });
    assert.equal((await client.getSecret("key-pass")).value, "zwei 東京");
    const version = first.properties.version ?? "";
    assert.equal((await client.getSecret("key-pass", { version })).value, "one");
    const names: string[] = [];
    for await (const one of client.listPropertiesOfSecrets()) {
      names.push(one.name);
      assert.ok(!JSON.stringify(one).includes("zwei"));
    }
    assert.deepEqual(names, ["key-pass"]);
    let count = 0;
    for await (const one of client.listPropertiesOfSecretVersions("key-pass"))
      count += one.version === undefined ? 0 : 1;
    assert.equal(count, 2);
    await client.updateSecretProperties("key-pass", second.properties.version ?? "", {
      enabled: false,
    });
    await assert.rejects(client.getSecret("key-pass"), {
      statusCode: 403,
      message: /not allowed on a disabled secret/,
    });
    await (await client.beginDeleteSecret("key-pass")).pollUntilDone();
    await assert.rejects(client.setSecret("key-pass", "x"), { statusCode: 409 });
    await (await client.beginRecoverDeletedSecret("key-pass")).pollUntilDone();
    await (await client.beginDeleteSecret("key-pass")).pollUntilDone();
    await client.purgeDeletedSecret("key-pass");
    await client.setSecret("key-pass", "fresh");
  });

  test("a backup of a secret is restored where its name is free, and is no key", async () => {
    await client.setSecret("kept", "value");
    const backup = (await client.backupSecret("kept")) ?? new Uint8Array();
    await (await client.beginDeleteSecret("kept")).pollUntilDone();
    await client.purgeDeletedSecret("kept");
    await client.restoreSecretBackup(backup);
    assert.equal((await client.getSecret("kept")).value, "value");
    const answer = await call("POST", "/keys/restore", {
      value: Buffer.from(backup).toString("base64url"),
    });
    assert.equal(answer.status, 403);
  });

  test("members, routes and names that Key Vault does not know are refused", async () => {
    const bad = [
      ["PUT", "/secrets/a", { value: "x", colour: "red" }, /colour|Unrecognized/],
      ["PUT", "/secrets/a_b", { value: "x" }, /invalid name/],
      ["PUT", "/secrets/a", { value: "x".repeat(26_000) }, /value/],
      ["GET", "/secrets/a/b/c/d", null, /not one that the double/],
      ["GET", "/secrets?maxresults=26", null, /maxresults/],
    ] as const;
    for (const [method, path, body, message] of bad) {
      const answer = await call(method, path, body);
      assert.equal(answer.status, 400, path);
      assert.match(answer.error.message, message);
    }
  });

  test("a certificate is self-signed, has a key and a PEM secret, and is listed", async () => {
    const policy = {
      issuer: { name: "Self" },
      secret_props: { contentType: "application/x-pem-file" },
      x509_props: { subject: "CN=ppml", sans: { dns_names: ["ppml.example"] } },
    };
    const made = await call("POST", "/certificates/tls/create", { policy });
    assert.equal(made.status, 202);
    const pending = await call("GET", "/certificates/tls/pending", null);
    assert.equal(pending.body["status"], "completed");
    const { body } = await call("GET", "/certificates/tls", null);
    const der = Buffer.from(String(body["cer"]), "base64");
    const certificate = new X509Certificate(der);
    assert.ok(certificate.verify(certificate.publicKey));
    assert.equal(certificate.subjectAltName, "DNS:ppml.example");
    const secret = await client.getSecret("tls");
    assert.match(secret.value ?? "", /BEGIN PRIVATE KEY[^]*BEGIN CERTIFICATE/);
    const listed = await call("GET", "/certificates", null);
    assert.equal((listed.body["value"] as unknown[]).length, 1);
    const other = { ...policy, issuer: { name: "DigiCert" } };
    const refused = await call("POST", "/certificates/x/create", { policy: other });
    assert.match(refused.error.message, /Self alone/);
  });

  async function call(method: string, path: string, body: unknown) {
    const token = await connection.credential.getToken("https://vault.azure.net/.default");
    const separator = path.includes("?") ? "&" : "?";
    const response = await twin.fetch(
      new Request(`${url}${path}${separator}api-version=7.6`, {
        method,
        headers: { authorization: `Bearer ${token?.token ?? ""}`, host: new URL(url).host },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    const json = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
    const error = (json["error"] ?? { message: "" }) as { readonly message: string };
    return { status: response.status, body: json, error };
  }
});
