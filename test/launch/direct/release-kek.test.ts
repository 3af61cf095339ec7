import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { KeyClient } from "@azure/keyvault-keys";
import type { HttpPorts } from "../../../src/attest/collateral/http.ts";
import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";
import { fromHex, Secret, utf8 } from "../../../src/base/index.ts";
import { jobSchema } from "../../../src/format/job.ts";
import type { Job } from "../../../src/format/job.ts";
import type { SigningKey } from "../../../src/format/jwk.ts";
import type { WrappedLocalKey } from "../../../src/format/kek.ts";
import { signObject, verifyObject } from "../../../src/format/signed-object.ts";
import { AzureVault } from "../../../src/key/azure/azure-vault.ts";
import { makeLocalKey, wrapLocalKey } from "../../../src/key/index.ts";
import { kekPublicKeyOf } from "../../../src/key/public-key.ts";
import { grantDirectly } from "../../../src/launch/direct/direct-grant.ts";
import { makeKekTeeKeys } from "../../../src/launch/direct/kek-keys.ts";
import type { KekTeeKeys } from "../../../src/launch/direct/kek-keys.ts";
import {
  attestDirectly,
  releaseKekDirectly,
  unwrapLocally,
} from "../../../src/launch/direct/release-kek.ts";
import type { DirectRelease } from "../../../src/launch/direct/release-kek.ts";
import { newSigningKey } from "../../broker/fixture.ts";
import { hexOf, refuses } from "../../key/suite.ts";
import { MEASUREMENT } from "../../release/kek-fixture.ts";
import { MAA_HOST, maaAppOf, maaPolicy } from "../../twin/keyvault/attested.ts";
import { keyVaultTwin } from "../../twin/keyvault/fixture.ts";
import type { KeyVaultTwin } from "../../twin/keyvault/fixture.ts";

describe("a TEE is given a KEK by Azure Attestation and Key Vault, without a broker", () => {
  let twin: KeyVaultTwin;
  let keys: KekTeeKeys;
  let wanted: WrappedLocalKey;
  let localKeyHex: string;
  let officer: { readonly vault: AzureVault; readonly client: KeyClient };
  let accessToken: Secret;

  before(async () => {
    twin = await keyVaultTwin({ limits: { "hsm-create": 1000 } });
    keys = await makeKekTeeKeys();
    const url = twin.vault("direct");
    const connection = twin.connect(
      twin.principal([{ role: "Key Vault Crypto Officer", vault: "direct" }]),
    );
    officer = {
      vault: new AzureVault({ url, mode: "production", connection }),
      client: new KeyClient(url, connection.credential, connection.clientOptions),
    };
    const kek = await officer.vault.createKek({
      name: "leaves",
      kind: "exportable",
      releasePolicy: maaPolicy(),
    });
    const { localKey, localKeyId } = makeLocalKey();
    localKeyHex = hexOf(localKey);
    wanted = wrapLocalKey({
      localKey,
      localKeyId,
      kek: await officer.vault.publicKey(kek.kekId),
    });
    accessToken = await tokenOf("Key Vault Crypto Service Release User");
  });
  after(() => twin.dispose());

  test("the whole way: attest, token, release, the KEK, the local key that was sealed offline", async () => {
    const options = optionsOf({});
    const attested = await attestDirectly(options);
    const kek = await releaseKekDirectly(options, attested, wanted);
    using localKey = unwrapLocally(kek, wanted);
    assert.equal(hexOf(localKey), localKeyHex);
  });

  test("T280: another measurement than the KEK's policy names gets nothing", async () => {
    const options = optionsOf({ measurement: "b2".repeat(48) });
    const attested = await attestDirectly(options);
    await refuses("release.denied", releaseKekDirectly(options, attested, wanted));
  });

  test("T280: an identity without the role, or without a token, gets nothing", async () => {
    for (const token of [await tokenOf("Key Vault Reader"), Secret.take(utf8("none"))]) {
      const options = optionsOf({ accessToken: token });
      const attested = await attestDirectly(options);
      await assert.rejects(releaseKekDirectly(options, attested, wanted), {
        code: /^(?:release\.denied|attest\.fetch)$/,
      });
    }
  });

  test("T281: an answer that the vault did not sign, an old one, or one for other keys is refused", async () => {
    const good = optionsOf({});
    const attested = await attestDirectly(good);
    // Another root than the measured configuration pins.
    const foreign = { ...good, vaultRoots: [await otherRoot()] };
    await refuses("attest.not_verified", releaseKekDirectly(foreign, attested, wanted));
    // An answer that was recorded for another nonce.
    const recorded: string[] = [];
    await releaseKekDirectly(optionsOf({ record: recorded }), attested, wanted);
    const replaying = optionsOf({ replay: recorded[0] ?? "" });
    const later = await attestDirectly({
      ...replaying,
      nonce: randomBytes(32).toString("base64url"),
    });
    await refuses("attest.not_verified", releaseKekDirectly(replaying, later, wanted));
    // The same nonce, and other keys: what came is wrapped for the first ones.
    const others = { ...replaying, keys: await makeKekTeeKeys() };
    const otherKeys = await attestDirectly(others);
    await refuses("format.invalid", releaseKekDirectly(others, otherKeys, wanted));
  });

  test("T281: a version of the KEK that the data are not sealed for is refused", async () => {
    const options = optionsOf({});
    const attested = await attestDirectly(options);
    const before1 = (await officer.client.getKey("leaves")).properties.version ?? "";
    await officer.vault.rotateKek(wanted.kekId);
    await refuses("open.no_key", releaseKekDirectly(options, attested, wanted));
    // The host names Key Vault's own version; the hash of the public half decides.
    const kek = await releaseKekDirectly(options, attested, { ...wanted, keyVersion: before1 });
    using localKey = unwrapLocally(kek, wanted);
    assert.equal(hexOf(localKey), localKeyHex);
    await refuses(
      "open.no_key",
      releaseKekDirectly(options, attested, { ...wanted, keyVersion: "../../secrets/a" }),
    );
  });

  test("T177: a KEK of another vault is not asked for, with a token that is for this one; other Evidence and a changed wrapped key are refused", async () => {
    const options = optionsOf({});
    const attested = await attestDirectly(options);
    const asked: string[] = [];
    const { fetch } = options.http;
    const watched = {
      ...options,
      http: {
        ...options.http,
        fetch: (url: string, init: RequestInit) => (asked.push(url), fetch(url, init)),
      },
    };
    for (const kekId of [
      "embedded:0123456789abcdef/a",
      "https://evil.example/keys/a",
      "https://abc.vault.evil.test/keys/a",
      "https://other.vault.azure.net/keys/a",
      "https://direct.vault.azure.net@evil.test/keys/a",
    ])
      await refuses("open.no_key", releaseKekDirectly(watched, attested, { ...wanted, kekId }));
    assert.deepEqual(asked, []);
    const attester = {
      evidenceType: "tdx",
      attest: async () => ({ type: "tdx", evidence: "AAAA", collateral: {} }),
    };
    await refuses("attest.unsupported", attestDirectly({ ...options, attester }));
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 3072 });
    assert.throws(() => unwrapLocally(privateKey, wanted), { code: "open.not_authentic" });
    assert.throws(() => unwrapLocally(privateKey, { ...wanted, wrapped: "AAAA" }), {
      code: "open.not_authentic",
    });
  });

  describe("for a signed job", () => {
    const owner = newSigningKey();
    const grant = (changes: {
      readonly job?: Partial<Job>;
      readonly signer?: SigningKey;
      readonly wrapped?: readonly WrappedLocalKey[];
    }) => {
      const { signer = owner } = changes;
      const envelope = signObject("job", { ...DIRECT_JOB, ...changes.job }, signer);
      const signers = [signer.publicJwk];
      const job = verifyObject({ kind: "job", schema: jobSchema, envelope, signers });
      return grantDirectly({
        ...optionsOf({}),
        job,
        signers: [owner.publicJwk],
        wrapped: changes.wrapped ?? [wanted],
        keyVersions,
      });
    };
    const keyVersions: Record<string, string> = {};
    before(async () => {
      for await (const { version = "" } of officer.client.listPropertiesOfKeyVersions("leaves")) {
        const key = await officer.client.getKey("leaves", { version });
        const n = Buffer.from(key.key?.n ?? []).toString("base64url");
        const { kekVersion } = kekPublicKeyOf({
          kekId: wanted.kekId,
          kind: "exportable",
          mode: "production",
          spki: new Uint8Array(
            createPublicKey({ key: { kty: "RSA", n, e: "AQAB" }, format: "jwk" }).export({
              type: "spki",
              format: "der",
            }),
          ),
        });
        keyVersions[kekVersion] = version;
      }
    });

    test("one release serves all local keys of a KEK, and the floors are the job's", async () => {
      using direct = await grant({});
      const local = direct.localKeys.get(wanted.id);
      assert.ok(local);
      assert.equal(hexOf(local.key), localKeyHex);
      assert.deepEqual(direct.floors, DIRECT_JOB.floors);
      const digest = direct.attested.runtimeData["job-digest"];
      assert.match(digest, /^[0-9a-f]{64}$/);
    });

    test("T282: a job that another signed, or without a floor for an input, gets no key", async () => {
      await refuses("launch.job", grant({ signer: newSigningKey() }));
      const { floors: _, ...without } = DIRECT_JOB;
      await refuses("launch.job", grant({ job: { ...without, floors: undefined } }));
      const other = { ...FLOOR, datasetId: "22".repeat(16) };
      await refuses("launch.job", grant({ job: { floors: [other] } }));
      await refuses("launch.job", grant({ job: { floors: [{ ...FLOOR, minVersion: 0 }] } }));
    });

    test("a wrapped key that does not open gives nothing at all", async () => {
      const bad = { ...wanted, id: "B".repeat(22), wrapped: "A".repeat(512) };
      await refuses("open.not_authentic", grant({ wrapped: [wanted, bad] }));
    });
  });

  function optionsOf(changes: {
    readonly measurement?: string;
    readonly accessToken?: Secret;
    readonly record?: string[];
    readonly replay?: string;
  }): DirectRelease {
    const { measurement = MEASUREMENT, record, replay } = changes;
    const platform = simulatedPlatformOf(maaAppOf(twin).pki);
    return {
      attester: {
        evidenceType: "sim-snp",
        attest: async (reportData) =>
          platform.attest({ measurement: fromHex(measurement), reportData }),
      },
      keys,
      nonce: NONCE,
      jobDigest: "0".repeat(64),
      attestation: `https://${MAA_HOST}`,
      accessToken: changes.accessToken ?? accessToken,
      vaultHost: "direct.vault.azure.net",
      vaultRoots: [twin.releaseRoot],
      http: portsOf({ record, replay }),
    };
  }

  /** The doubles as the network; a host in the middle may record answers, or give an old one. */
  function portsOf(middle: {
    readonly record: string[] | undefined;
    readonly replay: string | undefined;
  }): HttpPorts {
    return {
      now: () => twin.time.nowMs,
      random: () => 0.5,
      pause: async () => undefined,
      fetch: async (url, init) => {
        const { host, pathname, search } = new URL(url);
        if (host === MAA_HOST) return maaAppOf(twin).app.request(`${pathname}${search}`, init);
        if (middle.replay !== undefined) return new Response(middle.replay);
        const headers = new Headers(init.headers);
        headers.set("host", host);
        const response = await twin.fetch(new Request(url, { ...init, headers, signal: null }));
        if (middle.record === undefined) return response;
        const body = await response.text();
        middle.record.push(body);
        return new Response(body, { status: response.status });
      },
    };
  }

  async function tokenOf(role: string): Promise<Secret> {
    const connection = twin.connect(twin.principal([{ role, vault: "direct" }]));
    const token = await connection.credential.getToken("https://vault.azure.net/.default");
    return Secret.take(utf8(token?.token ?? ""));
  }
});

const FLOOR = {
  datasetId: "11".repeat(16),
  minVersion: 3,
  minDigest: "ab".repeat(32),
  signers: [],
};
const DIRECT_JOB: Job = {
  v: 1,
  name: "direct",
  policy: "none",
  purpose: "a test",
  engine: { name: "sql", settings: { memoryMiB: 64, timeoutSeconds: 60, threads: 1 } },
  code: [{ kind: "sql", name: "q", sha256: "0".repeat(64) }],
  arguments: [],
  environment: [],
  inputs: [{ name: "people", datasetId: FLOOR.datasetId, columns: null }],
  output: {
    name: "answers",
    datasetId: "33".repeat(16),
    kekId: "https://direct.vault.azure.net/keys/result",
    kekThumbprint: "t".repeat(43),
  },
  floors: [FLOOR],
  issuedAt: "2026-11-24T12:00:00Z",
  expiresAt: "2026-12-24T12:00:00Z",
};

const NONCE = randomBytes(32).toString("base64url");

async function otherRoot(): Promise<Uint8Array> {
  const other = await keyVaultTwin();
  try {
    return other.releaseRoot;
  } finally {
    other.dispose();
  }
}
