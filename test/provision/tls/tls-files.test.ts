import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, verify, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { connect, createServer } from "node:tls";
import { parse } from "yaml";
import {
  DER,
  derContent,
  derEncoding,
  readDer,
  readDerSequence,
} from "../../../src/attest/der/read.ts";
import { keyIdOf } from "../../../src/provision/tls/certificate.ts";
import {
  makeTlsFiles,
  TLS_FILES,
  type TlsFiles,
} from "../../../src/provision/tls/make-tls-files.ts";
import { bytesOf, secretOf, textOf } from "../bytes.ts";

const NOW_MS = Date.now();
const PASSWORD = "a fine password 7";
const NAMES = ["spark.example.com", "*.pods.example.com", "localhost", "10.0.0.4", "::1"];

let made: TlsFiles;
before(async () => {
  using password = secretOf(PASSWORD);
  made = await makeTlsFiles({ serverNames: NAMES, days: 397, password, nowMs: NOW_MS });
});
after(() => made[Symbol.dispose]());

function file(name: (typeof TLS_FILES)[number]): string {
  const secret = made.files.get(name);
  assert.ok(secret !== undefined);
  return textOf(secret);
}

function crt(): X509Certificate {
  return new X509Certificate(file("server.crt"));
}

test("the files are those of the guide, and no others", () => {
  assert.deepEqual([...made.files.keys()], [...TLS_FILES]);
});

test("the certificate is of the key, signed by it with SHA-256, RSA of 3072 bits", () => {
  const key = createPrivateKey(file("server.key"));
  assert.equal(key.asymmetricKeyDetails?.modulusLength, 3072);
  assert.equal(key.asymmetricKeyDetails.publicExponent, 65_537n);
  assert.ok(crt().checkPrivateKey(key));
  assert.ok(crt().verify(createPublicKey(key)));
  assert.match(crt().signatureAlgorithm ?? "", /sha256WithRSAEncryption/i);
  assert.equal(crt().subject, "CN=spark.example.com");
  assert.equal(crt().issuer, crt().subject);
  assert.equal(crt().ca, false);
});

test("the certificate is for its names and addresses and no others", () => {
  for (const name of ["spark.example.com", "a.pods.example.com", "localhost"])
    assert.ok(crt().checkHost(name) !== undefined, name);
  for (const name of ["example.com", "a.b.pods.example.com", "10.0.0.4"])
    assert.equal(crt().checkHost(name), undefined, name);
  for (const address of ["10.0.0.4", "::1"]) assert.ok(crt().checkIP(address) !== undefined);
  assert.equal(crt().checkIP("10.0.0.5"), undefined);
});

test("it is good for the days asked for, not for one second more, and backdated five minutes", () => {
  const from = crt().validFromDate.getTime();
  const to = crt().validToDate.getTime();
  assert.equal(from, Math.floor((NOW_MS - 300_000) / 1000) * 1000);
  // Both ends count.
  assert.equal(to - from + 1000, 397 * 86_400_000);
  assert.ok(to - from + 1000 <= 398 * 86_400_000);
});

test("server.pem is key and certificate", () => {
  assert.equal(file("server.pem"), file("server.key") + file("server.crt"));
});

test("the request is signed by the key and asks for the certificate's name, key and extensions", () => {
  const pem = file("server.csr");
  assert.match(pem, /^-----BEGIN CERTIFICATE REQUEST-----\n/);
  const der = Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\n/g, ""), "base64");
  const [info, algorithm, signature] = readDerSequence(readDer(der, DER.sequence));
  assert.ok(info !== undefined && algorithm !== undefined && signature !== undefined);
  const key = createPublicKey(file("server.key"));
  assert.ok(verify("sha256", derEncoding(info), key, derContent(signature).subarray(1)));
  const [, , spki, attributes] = readDerSequence(info);
  assert.ok(spki !== undefined && attributes?.tag === 0xa0);
  assert.deepEqual(Buffer.from(derEncoding(spki)), key.export({ format: "der", type: "spki" }));
  const extensions = Buffer.from(derEncoding(attributes));
  const inCertificate = crt().raw;
  const san = Buffer.from("spark.example.com");
  assert.ok(extensions.includes(san) && inCertificate.includes(san));
  const keyId = Buffer.from(keyIdOf(createPrivateKey(file("server.key"))));
  assert.ok(extensions.includes(keyId) && inCertificate.includes(keyId));
});

test("keys.yaml is the Opaque Secret ssl-keys with exactly the guide's six keys and the files' bytes", () => {
  const yaml: unknown = parse(file("keys.yaml"));
  const data = Object.fromEntries(
    [...made.files]
      .filter(([name]) => name !== "keys.yaml")
      .map(([name, secret]) => [name, bytesOf(secret).toString("base64")]),
  );
  assert.deepEqual(yaml, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "ssl-keys" },
    type: "Opaque",
    data,
  });
  assert.deepEqual(Object.keys(data).sort(), [
    "keystore.jks",
    "keystore.pkcs12",
    "server.crt",
    "server.csr",
    "server.key",
    "server.pem",
  ]);
});

test("a server with the keystore and a client that trusts the certificate alone speak TLS 1.3", async () => {
  const pfx = Buffer.from(file("keystore.pkcs12"), "latin1");
  const server = createServer({ pfx, passphrase: PASSWORD }, (socket) => socket.end("hello"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const options = { port: address.port, host: "127.0.0.1", ca: file("server.crt") };
    const socket = connect({ ...options, servername: "spark.example.com" });
    await once(socket, "secureConnect");
    assert.equal(socket.authorized, true);
    assert.equal(socket.getProtocol(), "TLSv1.3");
    socket.destroy();
    const other = connect({ ...options, servername: "spark.example.org" });
    const [error] = await once(other, "error");
    assert.equal(error.code, "ERR_TLS_CERT_ALTNAME_INVALID");
  } finally {
    server.close();
  }
});

test("no names, too many or a bad one are refused before a key is made", async () => {
  using password = secretOf(PASSWORD);
  const many = Array.from({ length: 101 }, (_, index) => `a${index}.example`);
  for (const serverNames of [[], many, ["a b"]])
    await assert.rejects(makeTlsFiles({ serverNames, days: 1, password, nowMs: NOW_MS }), {
      code: "provision.input",
    });
});

test("a first name too long for a common name leaves it to the next, or to a plain word", async () => {
  using password = secretOf(PASSWORD);
  const long = `${"a".repeat(60)}.example.com`;
  for (const [serverNames, subject] of [
    [[long, "b.example"], "CN=b.example"],
    [[long], "CN=server"],
  ] as const) {
    using files = await makeTlsFiles({ serverNames, days: 1, password, nowMs: NOW_MS });
    const secret = files.files.get("server.crt");
    assert.ok(secret !== undefined);
    assert.equal(new X509Certificate(textOf(secret)).subject, subject);
    assert.ok(new X509Certificate(textOf(secret)).checkHost(long) !== undefined);
  }
});
