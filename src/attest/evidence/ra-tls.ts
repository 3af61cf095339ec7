import { createHash, verify } from "node:crypto";
import { concatBytes, equalBytes, PpmlError, sha256, toTimestamp } from "../../base/index.ts";
import { cborMapGet, decodeCbor, expectCbor } from "../cbor/decode.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Certificate } from "../x509/certificate.ts";
import { isP384 } from "../x509/chain.ts";
import { parseDcapQuote } from "./dcap-quote.ts";

/**
 * Extensions that carry Evidence in an RA-TLS certificate: TCG's tagged evidence, and the one of
 * Gramine's older clients, whose OID's content begins with the bytes 06 09 of another OID.
 * @see TCG DICE Attestation Architecture 1.1, section 6.1.1.5; gramine tools/sgx/ra-tls/ra_tls.h
 */
export const RA_TLS_OID = {
  taggedEvidence: "2.23.133.5.4.9",
  gramineQuote: "0.6.9.42.840.113741.1337.6",
} as const;

/** CBOR tag of a TEE quote with its claims. @see IANA CBOR tags, 60000 */
export const TAGGED_QUOTE = 60000n;

/** Hashes of a public key by number. @see IANA Named Information Hash Algorithm Registry */
const KEY_HASHES: ReadonlyMap<bigint, string> = new Map([
  [1n, "sha256"],
  [7n, "sha384"],
  [8n, "sha512"],
]);

/** What claims may hold: one that is not known could restrict what the others mean. */
const CLAIMS: ReadonlySet<string> = new Set(["pubkey-hash", "nonce"]);

const REPORT_DATA_BYTES = 64;
const MAX_NONCE_BYTES = 64;

/** ECDSA with SHA-256, -384 and -512, by which self-signed certificates may be signed. @see RFC 5758 section 3.2 */
const SELF_SIGNATURES: ReadonlyMap<string, string> = new Map([
  ["1.2.840.10045.4.3.2", "sha256"],
  ["1.2.840.10045.4.3.3", "sha384"],
  ["1.2.840.10045.4.3.4", "sha512"],
]);

/** What an RA-TLS certificate says of the TEE that holds its key. The quote is not verified. */
export type RaTlsEvidence = {
  readonly form: "tagged" | "legacy";
  /** What the quote is of, by its own word. */
  readonly tee: "sgx" | "tdx";
  /** The Evidence to verify, of the wire type that `tee` is. */
  readonly quote: Uint8Array;
  /** 64 bytes, which bind the certificate's key; the quote was checked to hold them. */
  readonly reportData: Uint8Array;
  /** SHA-256 of the key's SubjectPublicKeyInfo. */
  readonly publicKeySha256: Uint8Array;
  /** The claim of that name; null where there is none. */
  readonly nonce: Uint8Array | null;
};

/**
 * Reads the Evidence of a self-signed RA-TLS certificate in DER and checks that its quote binds the
 * certificate's key (P-384). Whether the quote is true, and of what code, is for verification and
 * appraisal to say; that the peer has the key is TLS's.
 * @throws attest.invalid, attest.unsupported, attest.not_verified
 * @see docs/attestation.md section "RA-TLS"
 */
export function readRaTlsCertificate(
  der: Uint8Array,
  options: {
    /** Validity is checked for this time: milliseconds since 1970. */
    readonly nowMs: number;
  },
): RaTlsEvidence {
  const certificate = parseCertificate(der);
  checkCertificate(certificate, options.nowMs);
  const tagged = certificate.extensions.get(RA_TLS_OID.taggedEvidence);
  const legacy = certificate.extensions.get(RA_TLS_OID.gramineQuote);
  // Gramine's verifier looks for the tagged form first; a certificate may hold both.
  const found =
    tagged !== undefined
      ? { form: "tagged" as const, ...readTagged(tagged.value, certificate.spki) }
      : legacy !== undefined
        ? { form: "legacy" as const, ...readLegacy(legacy.value, certificate.spki) }
        : null;
  if (found === null)
    throw new PpmlError(
      "attest.invalid",
      `the certificate holds no Evidence: expected an extension ${RA_TLS_OID.taggedEvidence} (RA-TLS)`,
    );
  const { tee, body } = parseDcapQuote(found.quote);
  if (!equalBytes(Uint8Array.from(body.reportData), found.reportData))
    throw new PpmlError(
      "attest.not_verified",
      "the quote in the RA-TLS certificate binds another key than the certificate's",
    );
  return { ...found, tee, publicKeySha256: sha256(certificate.spki) };
}

/** The 64 bytes of report data that bind claims: their SHA-256 and zeros. */
export function raTlsReportData(claims: Uint8Array): Uint8Array {
  return fill(sha256(claims));
}

function checkCertificate(certificate: Certificate, nowMs: number): void {
  const { notBeforeMs, notAfterMs, publicKey } = certificate;
  const hash = SELF_SIGNATURES.get(certificate.algorithmOid);
  if (!isP384(publicKey) || hash === undefined)
    throw new PpmlError(
      "attest.unsupported",
      "expected an RA-TLS certificate with a P-384 key and an ECDSA signature",
    );
  if (!verify(hash, certificate.tbs, publicKey, certificate.signature))
    throw new PpmlError(
      "attest.not_verified",
      "the RA-TLS certificate is not signed by its own key",
    );
  // Written so that a NaN is refused.
  if (!(nowMs >= notBeforeMs && nowMs <= notAfterMs))
    throw new PpmlError(
      "attest.not_verified",
      `the RA-TLS certificate is valid from ${toTimestamp(notBeforeMs)} to ${toTimestamp(notAfterMs)}, not now`,
    );
}

type Found = Pick<RaTlsEvidence, "quote" | "reportData" | "nonce">;

/** 60000([ quote, claims ]): the report data is SHA-256 of the claims' bytes, which hold the key's hash. */
function readTagged(value: Uint8Array, spki: Uint8Array): Found {
  const { tag, item } = expectCbor(decodeCbor(value), "tag");
  const { items } = expectCbor(item, "array");
  if (tag !== TAGGED_QUOTE || items.length !== 2)
    throw invalid(`expected the CBOR tag ${TAGGED_QUOTE} over a quote and claims`);
  const quote = expectCbor(items[0], "bytes").value;
  const claims = expectCbor(items[1], "bytes").value;
  const map = expectCbor(decodeCbor(claims), "map");
  for (const [key] of map.entries)
    if (key.kind !== "text" || !CLAIMS.has(key.value))
      throw invalid("a claim other than pubkey-hash and nonce");
  checkKeyHash(expectCbor(cborMapGet(map, "pubkey-hash"), "bytes").value, spki);
  const nonce = cborMapGet(map, "nonce");
  return {
    quote,
    reportData: raTlsReportData(claims),
    nonce: nonce === undefined ? null : readNonce(expectCbor(nonce, "bytes").value),
  };
}

/** hash-entry = [ hash-alg-id, hash-value ]. @see RFC 9393 (CoSWID) section 2.9.1 */
function checkKeyHash(entry: Uint8Array, spki: Uint8Array): void {
  const { items } = expectCbor(decodeCbor(entry), "array");
  const hash = KEY_HASHES.get(expectCbor(items[0], "int").value);
  if (hash === undefined || items.length !== 2)
    throw invalid("a public key's hash that is not SHA-256, SHA-384 or SHA-512");
  const expected = new Uint8Array(createHash(hash).update(spki).digest());
  if (!equalBytes(expectCbor(items[1], "bytes").value, expected))
    throw new PpmlError(
      "attest.not_verified",
      "the claims in the RA-TLS certificate name another key than the certificate's",
    );
}

function readNonce(nonce: Uint8Array): Uint8Array {
  if (nonce.byteLength === 0 || nonce.byteLength > MAX_NONCE_BYTES)
    throw invalid(`a nonce of ${nonce.byteLength} bytes`);
  return nonce;
}

/** The bare quote: its report data is SHA-256 of the key's SPKI. */
function readLegacy(value: Uint8Array, spki: Uint8Array): Found {
  return { quote: value, reportData: fill(sha256(spki)), nonce: null };
}

function fill(digest: Uint8Array): Uint8Array {
  return concatBytes(digest, new Uint8Array(REPORT_DATA_BYTES - digest.byteLength));
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not valid RA-TLS Evidence: ${what}`);
}
