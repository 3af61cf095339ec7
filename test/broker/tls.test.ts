import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request as plainRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { Hono } from "hono";
import { fromUtf8, isPpmlError } from "../../src/base/index.ts";
import { listenOnTls } from "../../src/broker/listen-tls.ts";
import type { TlsListener } from "../../src/broker/listen-tls.ts";
import { loadTlsIdentity, openTlsIdentity } from "../../src/broker/tls-identity.ts";
import type { TlsIdentity } from "../../src/broker/tls-identity.ts";
import type { Fixture } from "./fixture.ts";
import { begin, attest, handshake, openAnswer, resource, tlsChannel } from "./rcar/guest.ts";
import { CONTENT, guestOf, makeResourceFixture, PATH } from "./rcar/resource-fixture.ts";

const DAY_MS = 86_400_000;

let fixture: Fixture;
let folder: string;
let tls: TlsIdentity;
let listener: TlsListener;
before(async () => {
  fixture = await makeResourceFixture();
  folder = await mkdtemp(join(tmpdir(), "ppml-tls-"));
  tls = await openTlsIdentity({ folder, host: "127.0.0.1", nowMs: Date.now() });
  listener = await listenOnTls(fixture.app, { host: "127.0.0.1", port: 0, tls });
});
after(async () => {
  await listener.close();
  await fixture.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe("the broker on TCP", () => {
  test("a guest goes through the whole handshake over TLS 1.3, with the certificate as its only root", async () => {
    const channel = tlsChannel({ port: listener.port, ca: tls.certificatePem });
    const guest = guestOf(fixture, { channel });
    const { cookie, token } = await handshake(guest);
    for (const headers of [{ cookie }, { authorization: `Bearer ${token}` }]) {
      const reply = await resource(guest, PATH, headers);
      assert.equal(reply.status, 200, reply.text);
      assert.equal(fromUtf8(openAnswer(guest.key, reply)), CONTENT);
    }
  });

  test("T159: TLS 1.2 and plain HTTP get no answer", async () => {
    const { port } = listener;
    await assert.rejects(
      new Promise((resolve, reject) => {
        const socket = connect({
          port,
          host: "127.0.0.1",
          ca: tls.certificatePem,
          maxVersion: "TLSv1.2",
        });
        socket.once("secureConnect", resolve);
        socket.once("error", reject);
      }),
      /protocol version/i,
    );
    await assert.rejects(
      new Promise((resolve, reject) => {
        plainRequest({ port, host: "127.0.0.1", path: "/v1/info" }, resolve)
          .on("error", reject)
          .end();
      }),
    );
  });

  test("T159: header injection changes neither the cookie nor the answer's headers", async () => {
    const channel = tlsChannel({ port: listener.port, ca: tls.certificatePem });
    const guest = guestOf(fixture, { channel });
    const session = await begin(guest);
    assert.match(session.cookie, /^kbs-session-id=[0-9a-f]{64}$/);
    for (const path of ["a%0d%0aset-cookie:x=y/b/c", "a/b/c%0d%0ax-evil:1"]) {
      const reply = await resource(guest, path, { cookie: session.cookie });
      assert.equal(reply.status, 404);
      assert.equal(reply.headers.get("set-cookie"), null);
      assert.equal(reply.headers.get("x-evil"), null);
    }
    // Bytes that no client library sends: the server ends the connection, or answers 400.
    const raw = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port: listener.port, host: "127.0.0.1", ca: tls.certificatePem });
      let text = "";
      socket.on("data", (chunk: Uint8Array) => {
        text += Buffer.from(chunk).toString("latin1");
      });
      socket.once("error", reject);
      socket.once("close", () => resolve(text));
      socket.write(
        "GET /kbs/v0/resource/a/b/c HTTP/1.1\r\nHost: x\r\nCookie: kbs-session-id=a\rX: y\r\nConnection: close\r\n\r\n",
      );
    });
    assert.match(raw, /^HTTP\/1\.1 400 /);
    assert.equal((await attest(guest, session)).status, 200);
  });

  test("a port that is taken is refused with what to do", async () => {
    const { port } = listener;
    await assert.rejects(listenOnTls(fixture.app, { host: "127.0.0.1", port, tls }), (error) =>
      isPpmlError(error, "broker.state"),
    );
  });

  test("the end lets a call under way have its answer, and takes no other", async () => {
    const { promise: goOn, resolve: letGo } = Promise.withResolvers<undefined>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<undefined>();
    const app = new Hono().get("/slow", async (c) => {
      arrive(undefined);
      await goOn;
      return c.json({ done: true });
    });
    const other = await listenOnTls(app, { host: "127.0.0.1", port: 0, tls });
    const channel = tlsChannel({ port: other.port, ca: tls.certificatePem });
    const call = { method: "GET", path: "/slow", headers: {}, body: null } as const;
    const reply = channel(call);
    await arrived;
    const closed = other.close();
    await assert.rejects(channel(call));
    letGo(undefined);
    assert.deepEqual((await reply).json, { done: true });
    await closed;
  });
});

describe("the broker's certificate", () => {
  test("it is made once, on P-256, for a year, and its key is its owner's alone", async () => {
    const again = await openTlsIdentity({ folder, host: "127.0.0.1", nowMs: Date.now() });
    assert.deepEqual(again, tls);
    const certificate = new X509Certificate(tls.certificatePem);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    const days = (Date.parse(certificate.validTo) - Date.now()) / DAY_MS;
    assert.ok(days > 364 && days <= 365);
    assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(certificate.checkIP("::1"), "::1");
    assert.equal(certificate.checkHost("localhost"), "localhost");
    assert.equal((await stat(join(folder, "broker.key"))).mode & 0o777, 0o600);
  });

  test("it is made anew for the same key when it ends soon, and for another name", async () => {
    const own = await mkdtemp(join(tmpdir(), "ppml-tls-"));
    try {
      const nowMs = Date.now();
      const first = await openTlsIdentity({ folder: own, host: "localhost", nowMs });
      const later = nowMs + 340 * DAY_MS;
      const renewed = await openTlsIdentity({ folder: own, host: "localhost", nowMs: later });
      assert.notEqual(renewed.certificatePem, first.certificatePem);
      assert.equal(renewed.spkiSha256, first.spkiSha256);
      const named = await openTlsIdentity({ folder: own, host: "kbs.example", nowMs: later });
      assert.equal(
        new X509Certificate(named.certificatePem).checkHost("kbs.example"),
        "kbs.example",
      );
      assert.equal(named.spkiSha256, first.spkiSha256);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  });

  test("T159: a key file that others may read, and one of another certificate, are refused", async () => {
    const certificate = join(folder, "broker.crt");
    const key = join(folder, "copy.key");
    await writeFile(key, await readFile(join(folder, "broker.key")), { mode: 0o600 });
    assert.deepEqual(await loadTlsIdentity({ certificate, key }), tls);
    await chmod(key, 0o640);
    await assert.rejects(loadTlsIdentity({ certificate, key }), (error) =>
      isPpmlError(error, "key.vault_io"),
    );
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const wrong = join(folder, "other.key");
    await writeFile(wrong, other.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    await assert.rejects(loadTlsIdentity({ certificate, key: wrong }), (error) =>
      isPpmlError(error, "config.invalid"),
    );
    await assert.rejects(loadTlsIdentity({ certificate: join(folder, "none"), key }), (error) =>
      isPpmlError(error),
    );
  });
});
