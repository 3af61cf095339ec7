import assert from "node:assert/strict";
import { constants, privateDecrypt, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { concatBytes, utf8 } from "../../src/base/index.ts";
import { ecPublicKeyOf, signingKeyOf } from "../../src/format/jwk.ts";
import { envelopeSchema } from "../../src/format/signed-object.ts";
import { exportPublicKey } from "../../src/key/index.ts";
import { fileInput, makeTestKek, OWNER, sealTestDataset } from "../compute/fixture.ts";
import { makeFolder, run } from "./python.ts";

test("openssl verifies the signature of a manifest, and refuses a changed one", async () => {
  using folder = makeFolder();
  await sealTestDataset({
    folder: folder.path("store"),
    name: "notes",
    datasetId: "0123456789abcdef0123456789abcdef",
    groups: [{ name: "all", kek: makeTestKek("notes"), columns: null }],
    inputs: [fileInput(folder.write("notes.txt", "a sealed note"), "notes.txt")],
  });
  const envelope = envelopeSchema.parse(
    JSON.parse(readFileSync(folder.path("store/manifest.json"), "utf8")),
  );
  const payload = Buffer.from(envelope.payload, "base64");
  const type = envelope.payloadType;
  const head = utf8(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.byteLength} `);
  const signature = Buffer.from(envelope.signatures[0]?.sig ?? "", "base64");
  const pem = ecPublicKeyOf(signingKeyOf(OWNER.privateKey).publicJwk).export({
    format: "pem",
    type: "spki",
  });
  const check = (signed: Uint8Array): string =>
    run(
      "openssl",
      "dgst",
      "-sha256",
      "-verify",
      folder.write("owner.pem", pem.toString()),
      "-signature",
      folder.write("sig.der", derSignature(signature)),
      folder.write("pae", signed),
    );
  assert.match(check(concatBytes(head, payload)), /Verified OK/);
  payload[10] = (payload[10] ?? 0) ^ 1;
  assert.throws(() => check(concatBytes(head, payload)), /Verification failure/i);
});

test("what openssl wraps under an exported KEK is opened with our parameters", () => {
  using folder = makeFolder();
  const kek = makeTestKek("wrapped/by-openssl");
  const key = randomBytes(32);
  run(
    "openssl",
    "pkeyutl",
    "-encrypt",
    "-pubin",
    "-inkey",
    folder.write("kek.pem", exportPublicKey(kek.publicKey, "pem")),
    "-pkeyopt",
    "rsa_padding_mode:oaep",
    "-pkeyopt",
    "rsa_oaep_md:sha256",
    "-in",
    folder.write("key", key),
    "-out",
    folder.path("wrapped"),
  );
  const opened = privateDecrypt(
    { key: kek.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
    readFileSync(folder.path("wrapped")),
  );
  assert.ok(opened.equals(key));
});

/** r | s of 32 bytes each as the DER that openssl takes: SEQUENCE of two INTEGERs. */
function derSignature(raw: Uint8Array): Uint8Array {
  const integers = [raw.subarray(0, 32), raw.subarray(32)].map((bytes) => {
    const from = bytes.findIndex((byte) => byte !== 0);
    const short = bytes.subarray(from);
    const body = (short[0] ?? 0) >= 0x80 ? concatBytes(Uint8Array.of(0), short) : short;
    return concatBytes(Uint8Array.of(2, body.byteLength), body);
  });
  const body = concatBytes(...integers);
  return concatBytes(Uint8Array.of(0x30, body.byteLength), body);
}
