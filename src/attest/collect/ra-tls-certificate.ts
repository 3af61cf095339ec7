import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, sha256 } from "../../base/index.ts";
import type { CborValue } from "../cbor/decode.ts";
import { encodeCbor } from "../cbor/encode.ts";
import { RA_TLS_OID, raTlsReportData, TAGGED_QUOTE } from "../evidence/ra-tls.ts";
import { extension, issueCertificate } from "../x509/issue-certificate.ts";
import { derBitString } from "../der/write.ts";

/** IANA's number of SHA-256 for hashes of keys. @see IANA Named Information Hash Algorithm Registry */
const SHA256 = 1n;

/** A key and its certificate for TLS, which proves that the key is a TEE's. */
export type RaTlsIdentity = {
  readonly certificate: Uint8Array;
  readonly privateKey: KeyObject;
};

/**
 * Makes a fresh P-384 key and its self-signed RA-TLS certificate. `quoteOf` gives a DCAP quote over
 * 64 bytes of report data: an Attester's evidence.
 * Rejects with what `quoteOf` rejects with.
 * @see docs/attestation.md section "RA-TLS"
 */
export async function createRaTlsIdentity(options: {
  readonly quoteOf: (reportData: Uint8Array) => Promise<Uint8Array>;
  /** Put into the claims, for a verifier that gave one; null without. */
  readonly nonce: Uint8Array | null;
  /** Adds the form that older verifiers of Gramine read, with a second quote. */
  readonly legacy: boolean;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}): Promise<RaTlsIdentity> {
  const { quoteOf, nonce, legacy, notBeforeMs, notAfterMs } = options;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const spki = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  const claims = encodeRaTlsClaims(spki, nonce);
  const quote = await quoteOf(raTlsReportData(claims));
  const extensions = [
    // digitalSignature, as both sides of TLS need it.
    extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
    extension(RA_TLS_OID.taggedEvidence, {
      critical: false,
      value: encodeTaggedQuote(quote, claims),
    }),
  ];
  if (legacy) {
    const reportData = concatBytes(sha256(spki), new Uint8Array(32));
    const value = await quoteOf(reportData);
    extensions.push(extension(RA_TLS_OID.gramineQuote, { critical: false, value }));
  }
  const certificate = issueCertificate({
    subject: "RATLS",
    subjectKey: privateKey,
    issuer: "RATLS",
    issuerKey: privateKey,
    notBeforeMs,
    notAfterMs,
    extensions,
  });
  return { certificate, privateKey };
}

/** 60000([ quote, claims ]). */
export function encodeTaggedQuote(quote: Uint8Array, claims: Uint8Array): Uint8Array {
  const items = [quote, claims].map((value) => ({ kind: "bytes" as const, value }));
  return encodeCbor({ kind: "tag", tag: TAGGED_QUOTE, item: { kind: "array", items } });
}

/** The claims of a key, by its SubjectPublicKeyInfo: what the quote's report data is the digest of. */
export function encodeRaTlsClaims(spki: Uint8Array, nonce: Uint8Array | null): Uint8Array {
  const hash = encodeCbor({
    kind: "array",
    items: [
      { kind: "int", value: SHA256 },
      { kind: "bytes", value: sha256(spki) },
    ],
  });
  // RFC 8949 section 4.2.1: keys in the order of their encodings, shorter ones first.
  const nonceClaim = nonce === null ? [] : [claim("nonce", nonce)];
  return encodeCbor({ kind: "map", entries: [...nonceClaim, claim("pubkey-hash", hash)] });
}

function claim(name: string, value: Uint8Array): readonly [CborValue, CborValue] {
  return [
    { kind: "text", value: name },
    { kind: "bytes", value },
  ];
}
