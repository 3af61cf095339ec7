import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import {
  concatBytes,
  fromBase64,
  fromHex,
  isPpmlError,
  sha256,
  toHex,
} from "../../../src/base/index.ts";
import type { TpmHash } from "../../../src/attest/evidence/tpm-algorithms.ts";
import { parseTpmQuote } from "../../../src/attest/evidence/tpm-attest.ts";
import type { TpmQuote } from "../../../src/attest/evidence/tpm-attest.ts";
import { parseTpmPublic } from "../../../src/attest/evidence/tpm-public.ts";
import { parseTpmQuoteFile, pcrsInOrder } from "../../../src/attest/evidence/tpm-quote-form.ts";
import { parseTpmSignature } from "../../../src/attest/evidence/tpm-signature.ts";
import type { TpmSignature } from "../../../src/attest/evidence/tpm-signature.ts";
import { encodeTpmQuote, encodeTpmSignature } from "../../../src/attest/sim/tpm-write.ts";
import { verifyTpmQuote } from "../../../src/attest/verify/tpm-quote.ts";
import { skip, vectorBytes, vectorText } from "../vectors.ts";
import { attestationKey, pcrs, qualifyingData } from "../vtpm-forms.ts";
import { newEcKey } from "../snp-forms.ts";

const values = pcrsInOrder(pcrs);
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

function quoteOf(changes: Partial<TpmQuote> = {}): TpmQuote {
  return {
    qualifiedSigner: new Uint8Array(34),
    extraData: qualifyingData,
    clockInfo: { clock: 5n, resetCount: 1, restartCount: 2, safe: false },
    firmwareVersion: 7n,
    pcrSelect: [{ hash: "sha256", pcrs: [0, 7, 16, 23] }],
    pcrDigest: sha256(...[0, 7, 16, 23].map((index) => pcrs[index] ?? new Uint8Array())),
    ...changes,
  };
}

type Scheme = readonly [scheme: TpmSignature["scheme"], hash: TpmHash];
const RSASSA: Scheme = ["rsassa", "sha256"];
const ECDSA: Scheme = ["ecdsa", "sha256"];

function signedBy(message: Uint8Array, key: KeyObject, [scheme, hash]: Scheme): TpmSignature {
  if (scheme === "ecdsa") {
    const both = new Uint8Array(sign(hash, message, { key, dsaEncoding: "ieee-p1363" }));
    const half = both.byteLength / 2;
    return { scheme, hash, r: both.subarray(0, half), s: both.subarray(half) };
  }
  const padding =
    scheme === "rsapss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  const signature = new Uint8Array(
    sign(hash, message, scheme === "rsapss" ? { key, padding, saltLength } : { key, padding }),
  );
  return { scheme, hash, signature };
}

const verify = (message: Uint8Array, signature: TpmSignature, publicKey: KeyObject) =>
  verifyTpmQuote({
    message,
    signature,
    publicKey: createPublicKey(publicKey),
    qualifyingData,
    pcrs: { hash: "sha256", values },
  });

describe("a quote verifies by every scheme that TPMs have", () => {
  const cases: readonly (readonly [string, KeyObject, TpmSignature["scheme"], TpmHash])[] = [
    ["RSASSA, SHA-256", rsa, "rsassa", "sha256"],
    ["RSAPSS, SHA-384", rsa, "rsapss", "sha384"],
    ["ECDSA P-256, SHA-256", newEcKey("P-256"), "ecdsa", "sha256"],
    ["ECDSA P-384, SHA-384", newEcKey("P-384"), "ecdsa", "sha384"],
    ["ECDSA P-521, SHA-512", newEcKey("P-521"), "ecdsa", "sha512"],
  ];
  for (const [name, key, scheme, hash] of cases)
    test(name, () => {
      const covered = concatBytes(
        ...[0, 7, 16, 23].map((index) => pcrs[index] ?? new Uint8Array()),
      );
      const pcrDigest = new Uint8Array(createHash(hash).update(covered).digest());
      const message = encodeTpmQuote(quoteOf({ pcrDigest }));
      const signature = signedBy(message, key, [scheme, hash]);
      const { quote, pcrs: found } = verify(message, signature, key);
      assert.deepEqual(quote.clockInfo, quoteOf().clockInfo);
      // Only what the quote covers comes out.
      assert.deepEqual([...found.keys()], [0, 7, 16, 23]);
      assert.throws(() => verify(message, signature, otherKey(key)), {
        code: "attest.not_verified",
        message: /not signed by the attestation key/,
      });
    });
});

function otherKey(key: KeyObject): KeyObject {
  return key.asymmetricKeyType === "rsa" ? attestationKey : rsa;
}

test("ECDSA numbers without their leading zeros are taken, longer ones are not", () => {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const message = encodeTpmQuote(quoteOf());
  let signature = signedBy(message, key, ECDSA);
  while (signature.scheme === "ecdsa" && signature.r[0] !== 0)
    signature = signedBy(message, key, ECDSA);
  assert.ok(signature.scheme === "ecdsa");
  verify(message, { ...signature, r: signature.r.subarray(1) }, key);
  const longer = { ...signature, s: concatBytes(new Uint8Array(1), signature.s) };
  assert.throws(() => verify(message, longer, key), { code: "attest.not_verified" });
});

const refuses = (message: Uint8Array, expected: { code: string; message: RegExp }) =>
  assert.throws(() => verify(message, signedBy(message, rsa, RSASSA), rsa), expected);

/** The good quote with other bytes at an offset. */
function changedAt(offset: number, bytes: readonly number[]): Uint8Array {
  const message = encodeTpmQuote(quoteOf());
  message.set(bytes, offset);
  return message;
}

describe("what is no quote for this challenge is refused, though its signature holds", () => {
  test("another magic: anybody can let a TPM sign such bytes", () => {
    refuses(changedAt(0, [0]), { code: "attest.invalid", message: /that a TPM made/ });
  });
  test("another type of attestation", () => {
    // TPM_ST_ATTEST_CERTIFY and the rest.
    for (const low of [0x14, 0x16, 0x17, 0x19, 0x1a])
      refuses(changedAt(4, [0x80, low]), { code: "attest.unsupported", message: /type quote/ });
  });
  test("T: a replayed nonce", () => {
    for (const extraData of [new Uint8Array(), new Uint8Array(48), qualifyingData.subarray(0, 47)])
      refuses(encodeTpmQuote(quoteOf({ extraData })), {
        code: "attest.not_verified",
        message: /another nonce/,
      });
  });
  test("PCR values that were not quoted", () => {
    refuses(encodeTpmQuote(quoteOf({ pcrDigest: new Uint8Array(32) })), {
      code: "attest.not_verified",
      message: /not those that the TPM quoted/,
    });
  });
  test("no bank, two banks, another bank", () => {
    const sha384Bank = { hash: "sha384", pcrs: [0] } as const;
    const sha256Bank = { hash: "sha256", pcrs: [0] } as const;
    for (const pcrSelect of [[], [sha256Bank, sha256Bank], [sha384Bank]])
      refuses(encodeTpmQuote(quoteOf({ pcrSelect })), {
        code: "attest.unsupported",
        message: /sha256 bank alone/,
      });
  });
  test("the SHA-1 bank", () => {
    const message = encodeTpmQuote(quoteOf());
    const selection = message.byteLength - 34 - 6;
    message.set([0, 4], selection);
    refuses(message, { code: "attest.unsupported", message: /algorithm 0x4/ });
  });
  test("values of selected PCRs that are missing", () => {
    const message = encodeTpmQuote(quoteOf());
    for (const some of [
      new Map([[0, pcrs[0] ?? new Uint8Array()]]),
      new Map([...values].map(([index]) => [index, new Uint8Array(31)] as const)),
    ])
      assert.throws(
        () =>
          verifyTpmQuote({
            message,
            signature: signedBy(message, rsa, RSASSA),
            publicKey: createPublicKey(rsa),
            qualifyingData,
            pcrs: { hash: "sha256", values: some },
          }),
        { code: "attest.invalid", message: /of PCR/ },
      );
  });
});

test("a scheme that does not fit the key, and small or odd keys, are refused", () => {
  const message = encodeTpmQuote(quoteOf());
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const three = generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 }).privateKey;
  const koblitz = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey;
  const refused = { code: "attest.not_verified", message: /not signed/ };
  assert.throws(() => verify(message, signedBy(message, ec, ECDSA), rsa), refused);
  assert.throws(() => verify(message, signedBy(message, rsa, RSASSA), ec), refused);
  assert.throws(() => verify(message, signedBy(message, small, RSASSA), small), refused);
  assert.throws(() => verify(message, signedBy(message, three, RSASSA), three), refused);
  assert.throws(() => verify(message, signedBy(message, koblitz, ECDSA), koblitz), refused);
});

const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const hashes = fc.constantFrom("sha256" as const, "sha384" as const, "sha512" as const);
const plain = { noNullPrototype: true } as const;
const quoteArbitrary: fc.Arbitrary<TpmQuote> = fc.record(
  {
    qualifiedSigner: bytes(66),
    extraData: bytes(66),
    clockInfo: fc.record(
      { clock: u64, resetCount: u32, restartCount: u32, safe: fc.boolean() },
      plain,
    ),
    firmwareVersion: u64,
    pcrSelect: fc.array(
      fc.record(
        {
          hash: hashes,
          pcrs: fc
            .uniqueArray(fc.nat(23))
            .map((indices) => indices.toSorted((left, right) => left - right)),
        },
        plain,
      ),
      { maxLength: 4 },
    ),
    pcrDigest: bytes(64),
  },
  plain,
);

test("any quote and signature survive encoding and parsing; every truncation is refused", () => {
  fc.assert(
    fc.property(quoteArbitrary, fc.nat(200), (quote, cut) => {
      const encoded = encodeTpmQuote(quote);
      assert.deepEqual(parseTpmQuote(encoded), quote);
      if (cut > 0)
        assert.throws(() => parseTpmQuote(encoded.subarray(0, -cut)), { code: "attest.invalid" });
      assert.throws(() => parseTpmQuote(concatBytes(encoded, new Uint8Array(1))), {
        code: "attest.invalid",
      });
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(hashes, bytes(512), bytes(66), (hash, signature, number) => {
      for (const one of [
        { scheme: "rsassa", hash, signature },
        { scheme: "rsapss", hash, signature },
        { scheme: "ecdsa", hash, r: number, s: number },
      ] as const) {
        const encoded = encodeTpmSignature(one);
        assert.deepEqual(parseTpmSignature(encoded), one);
        for (const length of [0, 1, 3, encoded.byteLength - 1])
          assert.throws(() => parseTpmSignature(encoded.subarray(0, length)), {
            code: "attest.invalid",
          });
      }
    }),
    { numRuns: 100 },
  );
});

test("hostile lengths are refused before anything is allocated", () => {
  const attest = "ff5443478018";
  for (const hex of [`${attest}ffff`, `${attest}0000ffff`, "0014000bffff", "0018000b0000ffff"])
    assert.throws(
      () => (hex.startsWith("ff") ? parseTpmQuote(fromHex(hex)) : parseTpmSignature(fromHex(hex))),
      { code: "attest.invalid", message: /field of 65535 bytes/ },
    );
  const manySelections = `${attest}00000000${"00".repeat(25)}ffffffff`;
  assert.throws(() => parseTpmQuote(fromHex(manySelections)), { message: /PCR selections/ });
  const bitmap = `${attest}00000000${"00".repeat(25)}00000001000bff`;
  assert.throws(() => parseTpmQuote(fromHex(bitmap)), { message: /selection of 3 bytes, got 255/ });
  for (const hex of ["ffff", "00", "", "0004000100"])
    assert.throws(() => parseTpmPublic(fromHex(hex)), { code: "attest.invalid" });
  const counted = `${"ff".repeat(2)}000000000000`;
  assert.throws(() => parseTpmQuoteFile(fromHex(counted)), { message: /length of at most 512/ });
});

test("a quote of swtpm verifies: its key, nonce and PCRs", { skip }, () => {
  const message = vectorBytes("swtpm/quote.msg");
  const signature = parseTpmSignature(vectorBytes("swtpm/quote.sig"));
  assert.deepEqual(encodeTpmSignature(signature), vectorBytes("swtpm/quote.sig"));
  assert.deepEqual(encodeTpmQuote(parseTpmQuote(message)), message);
  const key = parseTpmPublic(vectorBytes("swtpm/ak.pub"));
  assert.deepEqual(
    [key.restricted, key.sign, key.fixedTpm, key.nameHash],
    [true, true, true, "sha256"],
  );
  const given = swtpmPcrs(vectorBytes("swtpm/quote.pcrs"));
  const run = (nonce: string) =>
    verifyTpmQuote({
      message,
      signature,
      publicKey: key.publicKey,
      qualifyingData: fromHex(nonce),
      pcrs: { hash: "sha256", values: given },
    });
  const { pcrs: found } = run("00112233445566778899aabbccddeeff");
  assert.deepEqual([...found.keys()], [0, 1, 2, 3, 4, 5, 6, 7, 16]);
  assert.throws(() => run("00112233445566778899aabbccddee00"), { message: /another nonce/ });
});

/** tpm2-tools' file: TPML_PCR_SELECTION in the host's order and layout (132 bytes), u32 count, digests of u16 length and 64 bytes. */
function swtpmPcrs(file: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset);
  const digests: Uint8Array[] = [];
  for (let at = 132 + 4; at + 4 <= file.byteLength;) {
    const count = view.getUint32(at, true);
    for (let index = 0; index < 8; index += 1) {
      const start = at + 4 + 66 * index;
      const size = view.getUint16(start, true);
      if (index < count) digests.push(file.slice(start + 2, start + 2 + size));
    }
    at += 4 + 8 * 66;
  }
  return new Map(
    [0, 1, 2, 3, 4, 5, 6, 7, 16].map((pcr, index) => [pcr, digests[index] ?? new Uint8Array()]),
  );
}

test("a quote of a plain TPM, as CoCo's tpm attester sends it, verifies", { skip }, () => {
  const evidence = z
    .object({
      ak_public: z.string(),
      tpm_quote: z.object({
        message: z.string(),
        signature: z.string(),
        pcrs: z.array(z.string()),
      }),
    })
    .parse(JSON.parse(vectorText("azure-vtpm/trustee-tpm_evidence.json")));
  const message = fromBase64(evidence.tpm_quote.message);
  const { quote } = verifyTpmQuote({
    message,
    signature: parseTpmSignature(fromBase64(evidence.tpm_quote.signature)),
    publicKey: createPublicKey({
      key: Buffer.from(fromBase64(evidence.ak_public)),
      format: "der",
      type: "spki",
    }),
    qualifyingData: parseTpmQuote(message).extraData,
    pcrs: { hash: "sha256", values: pcrsInOrder(evidence.tpm_quote.pcrs.map(fromHex)) },
  });
  assert.equal(quote.extraData.byteLength, 64);
});

test("the az-cvm-vtpm crate's quote verifies by its key", { skip }, () => {
  const {
    message,
    signature,
    pcrs: given,
  } = parseTpmQuoteFile(vectorBytes("azure-vtpm/kinvolk-tpm-quote.bin"));
  assert.ok(given !== null);
  const publicKey = createPublicKey(vectorText("azure-vtpm/kinvolk-akpub.pem"));
  const run = (nonce: string) =>
    verifyTpmQuote({
      message,
      signature,
      publicKey,
      qualifyingData: new TextEncoder().encode(nonce),
      pcrs: { hash: "sha256", values: given },
    });
  assert.equal(
    toHex(run("challenge").quote.extraData),
    toHex(new TextEncoder().encode("challenge")),
  );
  assert.throws(
    () => run("challengf"),
    (error) => isPpmlError(error, "attest.not_verified"),
  );
});
