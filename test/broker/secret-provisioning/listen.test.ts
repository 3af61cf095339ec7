import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { createRaTlsIdentity } from "../../../src/attest/collect/ra-tls-certificate.ts";
import type { RaTlsEvidence } from "../../../src/attest/evidence/ra-tls.ts";
import { extension, issueCertificate } from "../../../src/attest/x509/issue-certificate.ts";
import { der } from "../../../src/attest/der/write.ts";
import { listenForSecretProvisioning } from "../../../src/broker/secret-provisioning/listen.ts";
import type { SecretProvisioning } from "../../../src/broker/secret-provisioning/listen.ts";
import { encodeGramineKey } from "../../../src/broker/secret-provisioning/messages.ts";
import { PpmlError, Secret, utf8 } from "../../../src/base/index.ts";
import { pem } from "../../attest/collateral/pem.ts";
import { quoteOver } from "../../attest/evidence/ra-tls-fixture.ts";

const REQUEST = utf8("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
const DAY_MS = 86_400_000;
const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

/** The server's own certificate, for localhost; clients pin it as their CA. */
const serverKey = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const serverCertificate = pem(
  issueCertificate({
    subject: "localhost",
    subjectKey: serverKey,
    issuer: "localhost",
    issuerKey: serverKey,
    ...validity,
    extensions: [
      extension("2.5.29.17", { critical: false, value: der(0x30, der(0x82, utf8("localhost"))) }),
    ],
  }),
);

const client = await createRaTlsIdentity({
  quoteOf: async (reportData) => quoteOver(reportData),
  nonce: null,
  legacy: true,
  ...validity,
});

type Server = SecretProvisioning &
  AsyncDisposable & {
    readonly refusals: PpmlError[];
    readonly decided: RaTlsEvidence[];
  };

async function serve(decide: () => Promise<Secret>): Promise<Server> {
  const refusals: PpmlError[] = [];
  const decided: RaTlsEvidence[] = [];
  const server = await listenForSecretProvisioning({
    host: "127.0.0.1",
    port: 0,
    certificates: serverCertificate,
    privateKey: serverKey,
    decide: (evidence) => {
      decided.push(evidence);
      return decide();
    },
    onRefused: (error) => refusals.push(error),
    now: Date.now,
    limits: { handshakeTimeoutMs: 300, requestTimeoutMs: 300 },
  });
  return { ...server, refusals, decided, [Symbol.asyncDispose]: server.close };
}

async function dial(server: Server, changes: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port: server.port,
    servername: "localhost",
    ca: serverCertificate,
    cert: pem(client.certificate),
    key: client.privateKey.export({ format: "pem", type: "pkcs8" }),
    ...changes,
  });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
}

/** All that the server sends until it closes. */
async function readAll(socket: TLSSocket): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await closed(socket);
  return new Uint8Array(Buffer.concat(chunks));
}

/** A broken connection closes too: errors are no end of their own. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
}

const key = encodeGramineKey(new Uint8Array(16).fill(9));
const give = async (): Promise<Secret> => Secret.copy(key);

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const)
  test(`a client of Gramine's protocol gets its secret over ${maxVersion}`, async () => {
    await using server = await serve(give);
    const socket = await dial(server, { maxVersion });
    socket.write(REQUEST);
    const got = await readAll(socket);
    const head = utf8("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0");
    assert.deepEqual(got, Uint8Array.of(...head, 0, 0, 0, key.byteLength, ...key));
    assert.equal(server.decided[0]?.form, "tagged");
    assert.deepEqual(server.refusals, []);
  });

test("a request that comes byte by byte in time is served", async () => {
  await using server = await serve(give);
  const socket = await dial(server);
  socket.setNoDelay(true);
  for (const byte of REQUEST) {
    socket.write(Uint8Array.of(byte));
    await sleep(1);
  }
  assert.equal((await readAll(socket)).byteLength, 41 + key.byteLength);
});

test("T107: a client without certificate, or whose certificate holds no Evidence, is cut off and never decided on", async () => {
  await using server = await serve(give);
  const none = await dial(server, { cert: undefined, key: undefined });
  none.write(REQUEST);
  assert.equal((await readAll(none)).byteLength, 0);
  const plain = await dial(server, {
    cert: serverCertificate,
    key: serverKey.export({ format: "pem", type: "pkcs8" }),
  });
  plain.write(REQUEST);
  assert.equal((await readAll(plain)).byteLength, 0);
  assert.deepEqual(
    server.refusals.map(({ code }) => code),
    ["broker.invalid_request", "attest.invalid"],
  );
  assert.equal(server.decided.length, 0);
});

test("a certificate whose quote binds another key is cut off and never decided on", async () => {
  await using server = await serve(give);
  const thief = await createRaTlsIdentity({
    quoteOf: async () => quoteOver(new Uint8Array(64)),
    nonce: null,
    legacy: false,
    ...validity,
  });
  const socket = await dial(server, {
    cert: pem(thief.certificate),
    key: thief.privateKey.export({ format: "pem", type: "pkcs8" }),
  });
  socket.write(REQUEST);
  assert.equal((await readAll(socket)).byteLength, 0);
  assert.equal(server.refusals[0]?.code, "attest.not_verified");
  assert.equal(server.decided.length, 0);
});

test("a decision that refuses, or fails, sends nothing", async () => {
  const refusal = new PpmlError("release.denied", "expected another measurement");
  for (const [error, code] of [
    [refusal, "release.denied"],
    [new Error("a bug"), "broker.invalid_request"],
  ] as const) {
    await using server = await serve(() => Promise.reject(error));
    const socket = await dial(server);
    socket.write(REQUEST);
    assert.equal((await readAll(socket)).byteLength, 0);
    assert.equal(server.refusals[0]?.code, code);
  }
});

test("other requests, slow and silent clients, and those that leave are cut off", async () => {
  await using server = await serve(give);
  for (const bad of [
    utf8("GET / HTTP/1.1\r\n"),
    utf8("SECRET_PROVISION_RA_TLS_REQUEST_V2\0"),
    Uint8Array.of(...REQUEST, 0),
    new Uint8Array(100_000),
  ]) {
    const socket = await dial(server);
    socket.write(bad);
    assert.equal((await readAll(socket)).byteLength, 0);
  }
  const silent = await dial(server);
  assert.equal((await readAll(silent)).byteLength, 0);
  const slow = await dial(server);
  slow.write(REQUEST.subarray(0, 10));
  assert.equal((await readAll(slow)).byteLength, 0);
  const leaving = await dial(server);
  leaving.write(REQUEST.subarray(0, 10));
  leaving.destroy();
  await until(() => server.refusals.length >= 7);
  assert.equal(server.decided.length, 0);
  assert.equal(server.refusals.length, 7);
  assert.match(server.refusals[4]?.message ?? "", /no whole request within 300 ms/);
  assert.match(server.refusals[6]?.message ?? "", /left before/);
});

test("a client that leaves while it is decided on gets no secret, and the next one is served", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = await serve(async () => {
    await gate.promise;
    return give();
  });
  const leaving = await dial(server);
  leaving.write(REQUEST);
  while (server.decided.length === 0) await sleep(5);
  leaving.destroy();
  await sleep(50);
  gate.resolve();
  await until(() => server.refusals.length > 0);
  assert.match(server.refusals[0]?.message ?? "", /left before it took/);
  const next = await dial(server);
  next.write(REQUEST);
  assert.equal((await readAll(next)).byteLength, 41 + key.byteLength);
});

test("no TLS, an endless handshake and TLS 1.1 are cut off", async () => {
  await using server = await serve(give);
  for (const words of ["GET / HTTP/1.1\r\n\r\n", ""]) {
    const socket = connectTcp(server.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume().write(words);
    await closed(socket);
  }
  assert.equal(server.refusals.length, 2);
  await assert.rejects(dial(server, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
});

test("a session is not resumed: each client shows its certificate", async () => {
  await using server = await serve(give);
  const first = await dial(server, { maxVersion: "TLSv1.2" });
  const session = first.getSession();
  first.write(REQUEST);
  await readAll(first);
  assert.ok(session !== undefined);
  const second = await dial(server, { maxVersion: "TLSv1.2", session });
  assert.equal(second.isSessionReused(), false);
  second.write(REQUEST);
  assert.equal((await readAll(second)).byteLength, 41 + key.byteLength);
  assert.equal(server.decided.length, 2);
});

test("closing ends connections in every state, those in their handshake too", async () => {
  const server = await serve(() => new Promise(() => undefined));
  const raw = connectTcp(server.port, "127.0.0.1");
  raw.on("error", () => undefined);
  await once(raw, "connect");
  const waiting = await dial(server);
  waiting.write(REQUEST);
  while (server.decided.length === 0) await sleep(5);
  await server.close();
  await Promise.all([closed(raw.resume()), closed(waiting.resume())]);
});

test("a port that is taken is told", async () => {
  await using server = await serve(give);
  await assert.rejects(
    listenForSecretProvisioning({
      host: "127.0.0.1",
      port: server.port,
      certificates: serverCertificate,
      privateKey: serverKey,
      decide: give,
      onRefused: () => undefined,
      now: Date.now,
    }),
    (error: unknown) => error instanceof PpmlError && error.code === "broker.state",
  );
});

/** Waits until it is so, ten seconds at most: what follows says what is missing. */
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !isSo(); tries += 1) await sleep(10);
}
