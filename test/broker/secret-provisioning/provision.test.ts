import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import type { AppraisalPolicy } from "../../../src/attest/appraise/policy.ts";
import { createRaTlsIdentity } from "../../../src/attest/collect/ra-tls-certificate.ts";
import { readRaTlsCertificate } from "../../../src/attest/evidence/ra-tls.ts";
import { attestSimDcap } from "../../../src/attest/sim/dcap-platform.ts";
import { simSgxReport } from "../../../src/attest/sim/dcap-quote.ts";
import { fromBase64Url, isPpmlError, toHex, utf8 } from "../../../src/base/index.ts";
import type { ErrorCode, Secret } from "../../../src/base/index.ts";
import type { BrokerState } from "../../../src/broker/broker-state.ts";
import { listenForSecretProvisioning } from "../../../src/broker/secret-provisioning/listen.ts";
import type { SecretProvisioning } from "../../../src/broker/secret-provisioning/listen.ts";
import { provisionSecret } from "../../../src/broker/secret-provisioning/provision.ts";
import { openTlsIdentity } from "../../../src/broker/tls-identity.ts";
import type { TlsIdentity } from "../../../src/broker/tls-identity.ts";
import type { ReleasePredicate } from "../../../src/format/receipt.ts";
import { issuerOf } from "../../../src/release/policy.ts";
import { pem } from "../../attest/collateral/pem.ts";
import { NOW_MS, pki } from "../../attest/dcap-fixture.ts";
import { applyPolicy, makeFixture } from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import {
  CONTENT,
  guestPolicyOf,
  makeResourceFixture,
  PATH,
  postResource,
  releases,
  resourceOf,
} from "../rcar/resource-fixture.ts";

const DAY_MS = 86_400_000;
const LONG = "default/files/long";
const MR_ENCLAVE = new Uint8Array(32).fill(0xa1);
const RESPONSE = "SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0";

const appraisal: AppraisalPolicy = {
  tee: "sim-sgx",
  references: [],
  mrEnclave: { equals: toHex(MR_ENCLAVE) },
  mrSigner: "any",
  isvProdId: "any",
  isvSvn: "any",
  configId: "any",
  configSvn: "any",
  isvExtProdId: "any",
  isvFamilyId: "any",
  debug: { equals: false },
  provisionKey: "any",
  tcbStatus: { equals: "UpToDate" },
  advisoryIds: "any",
  tcbEvaluationDataNumber: "any",
  fmspc: "any",
};

let fixture: Fixture;
let state: BrokerState;
let folder: string;
let tls: TlsIdentity;
let server: SecretProvisioning;
const refusals: ErrorCode[] = [];

before(async () => {
  fixture = await makeResourceFixture(pki.certificates.root);
  const release = {
    version: "1.0.0" as const,
    anyOf: [
      {
        authority: issuerOf("simulation"),
        allOf: [
          { claim: "x-ms-attestation-type", equals: "sgx" },
          { claim: "x-ms-sgx-mrenclave", equals: toHex(MR_ENCLAVE) },
          { claim: "ppml.simulated", equals: true },
        ],
      },
    ],
  };
  await applyPolicy(
    fixture,
    guestPolicyOf(fixture, { name: "gramine", appraisal, release, resources: [PATH, LONG] }),
  );
  const long = await resourceOf(fixture, { path: LONG, content: "x".repeat(4097) });
  assert.equal((await postResource(fixture, long)).status, 200);
  // Gramine's clients send no collateral: the operator's stands in for it.
  const { collateral } = attestSimDcap(pki, {
    quote: quoteBody(new Uint8Array(64)),
    nowMs: NOW_MS,
  });
  state = { ...fixture.state, complete: async (wire) => ({ ...wire, collateral }) };
  folder = await mkdtemp(join(tmpdir(), "ppml-gramine-"));
  tls = await openTlsIdentity({ folder, host: "localhost", nowMs: Date.now() });
  server = await listenForSecretProvisioning({
    host: "127.0.0.1",
    port: 0,
    certificates: tls.certificatePem,
    privateKey: createPrivateKey(tls.keyPem),
    decide: (evidence) => provisionSecret(state, { evidence, path: PATH }),
    onRefused: ({ code }) => refusals.push(code),
    now: state.clock,
  });
});
after(async () => {
  await server.close();
  await fixture.dispose();
  await rm(folder, { recursive: true, force: true });
});

function quoteBody(reportData: Uint8Array, mrEnclave = MR_ENCLAVE) {
  return { tee: "sgx", version: 3, body: simSgxReport({ mrEnclave, reportData }) } as const;
}

/** A client in an enclave of that measurement. */
function enclave(mrEnclave = MR_ENCLAVE) {
  return createRaTlsIdentity({
    quoteOf: async (reportData) => {
      const quote = quoteBody(reportData, mrEnclave);
      return fromBase64Url(attestSimDcap(pki, { quote, nowMs: NOW_MS }).evidence);
    },
    nonce: null,
    legacy: true,
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + 30 * DAY_MS,
  });
}

type Enclave = Awaited<ReturnType<typeof enclave>>;

/** All that the server sends to a client that asks. */
async function ask(client: Enclave): Promise<Uint8Array> {
  const socket = connect({
    host: "127.0.0.1",
    port: server.port,
    servername: "localhost",
    ca: tls.certificatePem,
    cert: pem(client.certificate),
    key: client.privateKey.export({ format: "pem", type: "pkcs8" }),
  });
  const chunks: Uint8Array[] = [];
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  const closed = once(socket, "close");
  await once(socket, "secureConnect");
  socket.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
  await closed;
  return new Uint8Array(Buffer.concat(chunks));
}

function decide(client: Enclave, path: string, over: BrokerState = state): Promise<Secret> {
  const evidence = readRaTlsCertificate(client.certificate, { nowMs: NOW_MS });
  return provisionSecret(over, { evidence, path });
}

async function last(): Promise<ReleasePredicate> {
  const entry = (await releases(fixture)).at(-1);
  assert.ok(entry);
  return entry;
}

async function refuses(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => isPpmlError(error, code));
}

describe("Gramine's clients and resources", () => {
  test("an enclave that a policy accepts gets the resource over its RA-TLS connection, and the log has it", async () => {
    const client = await enclave();
    const answer = await ask(client);
    const length = Uint8Array.of(0, 0, 0, CONTENT.length);
    const expected = Buffer.concat([utf8(RESPONSE), length, utf8(CONTENT)]);
    assert.deepEqual(answer, new Uint8Array(expected), refusals.join());
    const entry = await last();
    assert.equal(entry.decision, "granted");
    assert.equal(entry.request.kind, "resource");
    assert.equal(entry.name, PATH);
    assert.equal(entry.purpose, "resource for a Gramine client");
    assert.equal(entry.policy?.name, "gramine");
    const { publicKeySha256 } = readRaTlsCertificate(client.certificate, { nowMs: NOW_MS });
    assert.equal(toHex(fromBase64Url(entry.encryptionKey)), toHex(publicKeySha256));
  });

  test("T108: another enclave is cut off without a word, and the log says why", async () => {
    const size = (await releases(fixture)).length;
    assert.equal((await ask(await enclave(new Uint8Array(32).fill(0xb2)))).byteLength, 0);
    assert.equal(refusals.at(-1), "release.denied");
    const entry = await last();
    assert.equal(entry.decision, "denied");
    assert.match(entry.refusal?.message ?? "", /mrEnclave is b2b2/);
    assert.equal((await releases(fixture)).length, size + 1);
  });

  test("T108: a client by a key whose private half is published gets nothing", async () => {
    const client = await enclave();
    const evidence = readRaTlsCertificate(client.certificate, { nowMs: NOW_MS });
    // The encryption key of Azure's clean room sample.
    const published = "cd33bd2025c7980b02f8f6a13d8ba068bc16b002f809ae6cb51362d5eb97dec6";
    const publicKeySha256 = new Uint8Array(Buffer.from(published, "hex"));
    const asked = { evidence: { ...evidence, publicKeySha256 }, path: PATH };
    await assert.rejects(provisionSecret(state, asked), (error) => isPpmlError(error));
    const entry = await last();
    assert.equal(entry.decision, "denied");
    assert.match(entry.refusal?.message ?? "", /private half of this key is published/);
  });

  test("T108: a quote that does not verify is refused, and stands in the log", async () => {
    const without = { ...state, complete: fixture.state.complete };
    await assert.rejects(decide(await enclave(), PATH, without), (error) => isPpmlError(error));
    const entry = await last();
    assert.equal(entry.decision, "denied");
    assert.match(entry.refusal?.code ?? "", /^attest\./);
  });

  test("T108: a resource that no policy lists, that is none, or that is too long is refused", async () => {
    const client = await enclave();
    await refuses("release.denied", decide(client, "default/files/none"));
    await refuses("broker.invalid_request", decide(client, LONG));
    const entry = await last();
    assert.equal(entry.decision, "denied");
    assert.equal(entry.name, LONG);
  });

  test("T108: a production broker takes no simulated quote, whatever it is called", async () => {
    const production = await makeFixture("production");
    try {
      const client = await enclave();
      const { complete } = state;
      await assert.rejects(
        decide(client, PATH, { ...production.state, complete }),
        (error) => isPpmlError(error) && error.code.startsWith("attest."),
      );
      const entry = (await releases(production)).at(-1);
      assert.equal(entry?.decision, "denied");
    } finally {
      await production.dispose();
    }
  });
});
