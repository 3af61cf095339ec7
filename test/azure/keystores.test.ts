import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runInProcess } from "../cli/ppml.ts";
import { type Folder, makeFolder, run } from "../interop/python.ts";

const NAME = "spark.example.com";
const SUBJECT = "CN=spark.example.com,O=Example,C=DE";

let folder: Folder;
let mrSigner: string;
before(async () => {
  folder = makeFolder();
  folder.write("wrong", "a wrong password 1");
  await ppmlJson("key", "tls", "--subject", SUBJECT, "--dns", NAME, "--dns", "10.0.0.4");
  ({ mrSigner } = await ppmlJson("key", "enclave"));
});
after(() => folder[Symbol.dispose]());

function key(name: string): string {
  return folder.path(join("keys", name));
}

function openssl(...args: string[]): string {
  return run("openssl", ...args);
}

/** Runs our command line in the folder; gives its document. */
async function ppmlJson(...args: string[]) {
  const made = await runInProcess([...args, "--json"], { cwd: folder.path(".") });
  assert.equal(made.code, 0, made.stdout);
  return JSON.parse(made.stdout);
}

function keytool(...args: string[]) {
  // Its messages are in the user's language otherwise.
  return spawnSync("keytool", ["-J-Duser.language=en", ...args], { encoding: "utf8" });
}

/** keytool's output; it has to be content. */
function keytoolOutput(...args: string[]): string {
  const done = keytool(...args);
  assert.equal(done.status, 0, done.stdout + done.stderr);
  return done.stdout;
}

/** The public key in PEM that a file of this kind holds. */
function publicKeyOf(kind: "rsa" | "x509" | "req", file: string): string {
  return kind === "rsa"
    ? openssl("pkey", "-in", file, "-pubout")
    : openssl(kind, "-in", file, "-pubkey", "-noout");
}

describe("openssl", () => {
  test("reads key, certificate, request and bundle: all of one key, which is whole", () => {
    assert.match(openssl("rsa", "-in", key("server.key"), "-check", "-noout"), /RSA key ok/);
    const expected = publicKeyOf("rsa", key("server.key"));
    assert.match(expected, /^-----BEGIN PUBLIC KEY-----/);
    assert.equal(publicKeyOf("x509", key("server.crt")), expected);
    assert.equal(publicKeyOf("req", key("server.csr")), expected);
    assert.equal(publicKeyOf("rsa", key("server.pem")), expected);
    assert.equal(publicKeyOf("x509", key("server.pem")), expected);
  });

  test("the request's own signature and the certificate's chain verify, strictly, for its names alone", () => {
    const checked = spawnSync("openssl", ["req", "-in", key("server.csr"), "-verify", "-noout"]);
    assert.equal(checked.status, 0, checked.stderr.toString());
    const verify = (...args: string[]) =>
      spawnSync("openssl", [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        key("server.crt"),
        ...args,
        key("server.crt"),
      ]).status;
    assert.equal(verify("-verify_hostname", NAME), 0);
    assert.equal(verify("-verify_ip", "10.0.0.4"), 0);
    assert.notEqual(verify("-verify_hostname", "other.example.com"), 0);
    assert.notEqual(verify("-verify_ip", "10.0.0.5"), 0);
    assert.notEqual(verify("-attime", String(Math.floor(Date.now() / 1000) + 398 * 86_400)), 0);
  });

  test("subject, names and extensions are in request and certificate", () => {
    const text = openssl("x509", "-in", key("server.crt"), "-noout", "-text");
    const request = openssl("req", "-in", key("server.csr"), "-noout", "-text");
    for (const shown of [text, request]) {
      assert.match(shown, /Subject: C ?= ?DE, O ?= ?Example, CN ?= ?spark\.example\.com/);
      assert.match(shown, /DNS:spark\.example\.com, IP Address:10\.0\.0\.4/);
      assert.match(shown, /TLS Web Server Authentication, TLS Web Client Authentication/);
      assert.match(shown, /CA:FALSE/);
      assert.match(shown, /Signature Algorithm: sha256WithRSAEncryption/);
      assert.match(shown, /Public-Key: \(3072 bit\)/);
    }
  });

  for (const name of ["keystore.pkcs12", "keystore.jks"])
    test(`reads ${name}, by today's algorithms, with a name and an id on key and certificate`, () => {
      const info = spawnSync(
        "openssl",
        ["pkcs12", "-in", key(name), "-info", "-noenc", "-passin", `file:${key("password")}`],
        { encoding: "utf8" },
      );
      assert.equal(info.status, 0, info.stderr);
      assert.match(info.stderr, /MAC: sha256, Iteration 300000/);
      const encrypted = /PBES2, PBKDF2, AES-256-CBC, Iteration 300000, PRF hmacWithSHA256/g;
      assert.equal(info.stderr.match(encrypted)?.length, 2);
      assert.equal(info.stdout.match(/friendlyName: server/g)?.length, 2);
      const ids = [...info.stdout.matchAll(/localKeyID: ([0-9A-F ]+)/g)].map((match) => match[1]);
      assert.equal(ids.length, 2);
      assert.equal(ids[0], ids[1]);
      const pem = /-----BEGIN PRIVATE KEY-----[^]+-----END PRIVATE KEY-----\n/.exec(info.stdout);
      assert.equal(pem?.[0], readFileSync(key("server.key"), "latin1"));
    });

  for (const name of ["keystore.pkcs12", "keystore.jks"])
    test(`T206: openssl refuses ${name} under a wrong password`, () => {
      const args = [
        "pkcs12",
        "-in",
        key(name),
        "-noout",
        "-passin",
        `file:${folder.path("wrong")}`,
      ];
      const refused = spawnSync("openssl", args, { encoding: "utf8" });
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, /invalid password/i);
    });

  test("reads the enclave key as its own `genrsa -3 3072` in PKCS#1, and MRSIGNER is of its modulus", () => {
    const file = folder.path("enclave-key.pem");
    assert.match(openssl("rsa", "-in", file, "-check", "-noout"), /RSA key ok/);
    const text = openssl("rsa", "-in", file, "-noout", "-text");
    assert.match(text, /Private-Key: \(3072 bit, 2 primes\)/);
    assert.match(text, /publicExponent: 3 \(0x3\)/);
    assert.equal(openssl("rsa", "-in", file, "-traditional"), readFileSync(file, "latin1"));
    const [, modulus = ""] = openssl("rsa", "-in", file, "-noout", "-modulus").trim().split("=");
    const reversed = Buffer.from(modulus, "hex").toReversed();
    assert.equal(mrSigner, createHash("sha256").update(reversed).digest("hex"));
  });
});

describe("keytool", () => {
  for (const [name, type] of [
    ["keystore.jks", "JKS"],
    ["keystore.jks", "PKCS12"],
    ["keystore.pkcs12", "PKCS12"],
  ] as const)
    test(`lists ${name} as ${type}`, () => {
      const listed = keytoolOutput(
        "-list",
        "-v",
        "-keystore",
        key(name),
        "-storetype",
        type,
        "-storepass:file",
        key("password"),
      );
      assert.match(listed, /Your keystore contains 1 entry/);
      assert.match(listed, /Alias name: server\n/);
      assert.match(listed, /Entry type: PrivateKeyEntry/);
      const fingerprint = openssl(
        "x509",
        "-in",
        key("server.crt"),
        "-fingerprint",
        "-sha256",
        "-noout",
      );
      assert.ok(listed.includes(fingerprint.trim().split("=")[1] ?? "none"));
      assert.doesNotMatch(listed, /Warning|proprietary|weak/i);
    });

  test("T206: keytool refuses a wrong password", () => {
    for (const name of ["keystore.jks", "keystore.pkcs12"]) {
      const args = ["-list", "-keystore", key(name), "-storepass:file", folder.path("wrong")];
      const refused = keytool(...args);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stdout, /keystore password was incorrect/);
    }
  });

  test("makes a true JKS of it for readers that know nothing newer", () => {
    keytoolOutput(
      "-importkeystore",
      "-noprompt",
      "-srckeystore",
      key("keystore.pkcs12"),
      "-srcstorepass:file",
      key("password"),
      "-deststorepass:file",
      key("password"),
      "-destkeystore",
      folder.path("true.jks"),
      "-deststoretype",
      "JKS",
    );
    assert.equal(readFileSync(folder.path("true.jks")).readUInt32BE(0), 0xfeedfeed);
  });
});

/** Runs Keystore.java; its lines, by their first word. */
function java(options: {
  readonly type: string;
  readonly store: string;
  readonly password?: string;
  readonly name?: string;
  readonly version?: string;
}): Map<string, string> {
  const {
    type,
    store,
    password: file = key("password"),
    name = NAME,
    version = "TLSv1.3",
  } = options;
  const source = join(import.meta.dirname, "Keystore.java");
  const lines = run("java", source, type, store, file, name, version).trim().split("\n");
  return new Map(lines.map((line) => [line.split(" ", 1)[0] ?? "", line.replace(/^\S+ /, "")]));
}

describe("Java", () => {
  for (const [name, type, version] of [
    ["keystore.jks", "JKS", "TLSv1.3"],
    ["keystore.pkcs12", "PKCS12", "TLSv1.2"],
  ] as const)
    test(`${name} as ${type} is key store and trust store of a ${version} handshake, as Spark uses it`, () => {
      const found = java({ type, store: key(name), version });
      assert.equal(found.get("alias"), "server isKey true");
      assert.equal(found.get("bits"), "3072");
      assert.equal(found.get("signature"), "SHA256withRSA");
      assert.equal(found.get("handshake"), `${version} CN=spark.example.com,O=Example,C=DE`);
    });

  test("a server of another name than the certificate's is refused", () => {
    const found = java({ type: "JKS", store: key("keystore.jks"), name: "other.example.com" });
    assert.equal(found.get("handshake"), "refused");
  });

  test("T206: a wrong password and a changed keystore open nothing", () => {
    const wrong = java({
      type: "JKS",
      store: key("keystore.jks"),
      password: folder.path("wrong"),
    });
    assert.match(wrong.get("refused") ?? "", /password was incorrect/);
    const changed = readFileSync(key("keystore.jks"));
    changed[1000] = (changed[1000] ?? 0) ^ 1;
    writeFileSync(folder.path("changed.jks"), changed);
    const refused = java({ type: "JKS", store: folder.path("changed.jks") });
    assert.ok(refused.has("refused"), [...refused.keys()].join(" "));
    assert.ok(!refused.has("bits"));
  });
});
