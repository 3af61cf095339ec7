import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyClient } from "@azure/keyvault-keys";
import { keyVaultService } from "../../../src/twin/keyvault/service.ts";
import { keyVaultTwin } from "./fixture.ts";

test("a key that ARM makes is there, stays when it is made again, and goes with its vault", async () => {
  const twin = await keyVaultTwin();
  try {
    const url = twin.vault("kv");
    const service = keyVaultService(twin.base);
    const change = {
      id: "x",
      type: "Microsoft.KeyVault/vaults/keys",
      name: "kv/kek1",
      tags: { "ppml-use": "unwrap-only" },
      properties: {
        kty: "RSA-HSM",
        keySize: 3072,
        keyOps: ["wrapKey", "unwrapKey"],
        attributes: { enabled: true, exportable: false },
      },
    };
    const made = await service.onResource?.({ ...change, action: "put" });
    assert.equal(made?.["keyUri"], `${url}/keys/kek1`);
    const again = await service.onResource?.({
      ...change,
      action: "put",
      properties: { ...change.properties, ...made },
    });
    assert.deepEqual(again, made);
    const connection = twin.connect(twin.principal([{ role: "Key Vault Reader", vault: "kv" }]));
    const client = new KeyClient(url, connection.credential, connection.clientOptions);
    const key = await client.getKey("kek1");
    assert.deepEqual(key.keyOperations, ["wrapKey", "unwrapKey"]);
    assert.deepEqual(key.properties.tags, { "ppml-use": "unwrap-only" });
    await assert.rejects(
      async () =>
        service.onResource?.({
          ...change,
          action: "put",
          name: "kv/k2",
          properties: { kty: "DSA" },
        }),
      { message: /kty/ },
    );
    const vault = { ...change, type: "Microsoft.KeyVault/vaults", name: "kv", properties: {} };
    await service.onResource?.({ ...vault, action: "purge" });
    await assert.rejects(client.getKey("kek1"), { statusCode: 404 });
  } finally {
    twin.dispose();
  }
});
