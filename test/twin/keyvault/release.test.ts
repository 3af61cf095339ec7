import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { KeyClient } from "@azure/keyvault-keys";
import { SignJWT } from "jose";
import { verifySkrAnswer } from "../../../src/attest/verify/skr-answer.ts";
import { parseKeyHsm, unwrapKeyHsm } from "../../../src/format/skr/key-hsm.ts";
import { newKekTee } from "../../release/kek-fixture.ts";
import { maaPolicy, maaToken } from "./attested.ts";
import { keyVaultTwin } from "./fixture.ts";
import type { KeyVaultTwin } from "./fixture.ts";

const NONCE = "a-nonce-of-more-than-16";
const WRAPS = ["CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"] as const;

describe("the double of Key Vault: release of a key", () => {
  let twin: KeyVaultTwin;
  let url: string;
  let officer: KeyClient;
  let releaser: KeyClient;
  const tee = newKekTee();

  before(async () => {
    twin = await keyVaultTwin({ limits: { "hsm-create": 1000 } });
    url = twin.vault("kv");
    const clientOf = (role: string): KeyClient => {
      const connection = twin.connect(twin.principal([{ role, vault: "kv" }]));
      return new KeyClient(url, connection.credential, connection.clientOptions);
    };
    officer = clientOf("Key Vault Crypto Officer");
    releaser = clientOf("Key Vault Crypto Service Release User");
    await officer.createRsaKey("kek", exportable(maaPolicy()));
  });
  after(() => twin.dispose());

  test("a TEE that meets the policy gets the key in each wrap, signed by the vault's host", async () => {
    const token = await maaToken(twin, tee.runtimeData);
    const host = new URL(url).host;
    for (const wrap of WRAPS) {
      const { value } = await releaser.releaseKey("kek", token, { nonce: NONCE, algorithm: wrap });
      const released = await verifySkrAnswer(value, {
        vaultHost: host,
        roots: [twin.releaseRoot],
        request: { keyUrl: `${url}/keys/kek`, wrap, nonce: NONCE },
        nowMs: twin.time.nowMs,
      });
      const expected = { keyId: tee.runtimeData.keys[0].kid, wrap };
      using pkcs8 = unwrapKeyHsm({
        keyHsm: parseKeyHsm(released.keyHsm),
        privateKey: tee.privateKey,
        expected,
      });
      const key = pkcs8.expose((bytes) =>
        createPrivateKey({ key: Buffer.from(bytes), format: "der", type: "pkcs8" }),
      );
      const public1 = (await officer.getKey("kek")).key?.n ?? new Uint8Array();
      assert.equal(key.export({ format: "jwk" }).n, Buffer.from(public1).toString("base64url"));
    }
  });

  test("another measurement, an expired, forged or foreign token gets nothing", async () => {
    const other = await maaToken(twin, tee.runtimeData, "b2".repeat(48));
    await refused(other, { status: 403, message: /does not meet key release policy/ });
    const good = await maaToken(twin, tee.runtimeData);
    twin.time.nowMs += 9 * 3_600_000;
    await refused(good, { status: 403, message: /cannot be verified/ });
    twin.time.nowMs -= 9 * 3_600_000;
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const claims = JSON.parse(Buffer.from(good.split(".")[1] ?? "", "base64url").toString());
    const forged = await new SignJWT(claims).setProtectedHeader({ alg: "RS256" }).sign(privateKey);
    await refused(forged, { status: 403, message: /cannot be verified/ });
    const foreign = await new SignJWT({ ...claims, iss: "https://sharedeus.eus.attest.azure.net" })
      .setProtectedHeader({ alg: "RS256" })
      .sign(privateKey);
    await refused(foreign, { status: 400, message: /AKV\.SKR\.1012/ });
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${good.split(".")[1] ?? ""}.`;
    await refused(unsigned, { status: 403, message: /cannot be verified/ });
    await refused("nonsense", { status: 400, message: /not a JSON web token/ });
  });

  test("a policy that names another authority, or a key that is not exportable, gives nothing", async () => {
    const policy = maaPolicy(undefined, "https://other.attest.simulation.invalid");
    await officer.createRsaKey("other", exportable(policy));
    const token = await maaToken(twin, tee.runtimeData);
    await assert.rejects(releaser.releaseKey("other", token), { statusCode: 403 });
    await officer.createRsaKey("stays", { hsm: true });
    await assert.rejects(releaser.releaseKey("stays", token), {
      statusCode: 403,
      message: /release is not permitted/,
    });
    await assert.rejects(officer.getKey("none"), { statusCode: 404 });
    const reader = twin.connect(twin.principal([{ role: "Key Vault Reader", vault: "kv" }]));
    const client = new KeyClient(url, reader.credential, reader.clientOptions);
    await assert.rejects(client.releaseKey("kek", token), {
      statusCode: 403,
      message: /keys\/release\/action/,
    });
  });

  function refused(
    token: string,
    expected: { readonly status: number; readonly message: RegExp },
  ): Promise<void> {
    const { status: statusCode, message } = expected;
    return assert.rejects(releaser.releaseKey("kek", token), { statusCode, message });
  }
});

function exportable(policy: unknown) {
  const encodedPolicy = Buffer.from(JSON.stringify(policy));
  return {
    hsm: true,
    keySize: 3072,
    exportable: true,
    keyOps: ["wrapKey"],
    releasePolicy: { encodedPolicy, immutable: true },
  };
}
