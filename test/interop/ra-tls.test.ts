import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  encodeRaTlsClaims,
  encodeTaggedQuote,
} from "../../src/attest/collect/ra-tls-certificate.ts";
import {
  RA_TLS_OID,
  raTlsReportData,
  readRaTlsCertificate,
} from "../../src/attest/evidence/ra-tls.ts";
import { concatBytes, sha256, toHex } from "../../src/base/index.ts";
import { quoteOver, raTlsIdentity } from "../attest/evidence/ra-tls-fixture.ts";

/** A certificate as Gramine's library writes one, by OpenSSL: its names, SHA-256, key identifiers, both forms. */
function gramineLike(extensions: Readonly<Record<string, Uint8Array>>, keyPem: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "ppml-ra-tls-"));
  try {
    const key = join(folder, "key.pem");
    const out = join(folder, "out.der");
    writeFileSync(key, keyPem, { mode: 0o600 });
    const subject = "/C=US/O=GramineDevelopers/CN=RATLS";
    const args = `req -x509 -new -sha256 -set_serial 1 -days 30 -outform DER -subj ${subject}`;
    const added = Object.entries(extensions).map(([oid, value]) => `${oid}=DER:${toHex(value)}`);
    const made = spawnSync(
      "openssl",
      args.split(" ").concat(
        ["-key", key, "-out", out],
        ["basicConstraints=CA:FALSE", ...added].flatMap((value) => ["-addext", value]),
      ),
      { encoding: "utf8" },
    );
    assert.equal(made.status, 0, made.stderr);
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("certificates that OpenSSL makes in Gramine's form are read, tagged and legacy", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const keyPem = privateKey.export({ format: "pem", type: "pkcs8" });
  const spki = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  const claims = encodeRaTlsClaims(spki, null);
  const evidence = encodeTaggedQuote(quoteOver(raTlsReportData(claims)), claims);
  const quote = quoteOver(concatBytes(sha256(spki), new Uint8Array(32)));
  const both = { [RA_TLS_OID.gramineQuote]: quote, [RA_TLS_OID.taggedEvidence]: evidence };
  for (const [extensions, form] of [
    [both, "tagged"],
    [{ [RA_TLS_OID.gramineQuote]: quote }, "legacy"],
  ] as const) {
    const found = readRaTlsCertificate(gramineLike(extensions, keyPem.toString()), {
      nowMs: Date.now(),
    });
    assert.equal(found.form, form);
    assert.deepEqual(found.publicKeySha256, sha256(spki));
  }
});

test("OpenSSL reads a certificate of ours: version, names, both extensions by their OIDs", async () => {
  const { certificate } = await raTlsIdentity({ legacy: true });
  const read = spawnSync("openssl", ["x509", "-inform", "DER", "-noout", "-text"], {
    input: certificate,
    encoding: "utf8",
  });
  assert.equal(read.status, 0, read.stderr);
  for (const line of [
    /Version: 3/,
    /Subject: CN ?= ?RATLS/,
    /secp384r1/,
    /2\.23\.133\.5\.4\.9/,
    /0\.6\.9\.42\.840\.113741\.1337\.6/,
  ])
    assert.match(read.stdout, line);
});
