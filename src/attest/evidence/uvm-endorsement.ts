import { z } from "zod";
import { fromHex, fromUtf8, PpmlError } from "../../base/index.ts";
import { cborMapGet, decodeCbor, expectCbor } from "../cbor/decode.ts";
import type { CborValue } from "../cbor/decode.ts";
import { encodeCbor } from "../cbor/encode.ts";

/** COSE_Sign1's tag; header labels alg, content type, x5chain. @see RFC 9052 sections 2, 3.1; RFC 9360 section 2 */
const COSE_SIGN1_TAG = 18n;
const LABEL = { alg: 1n, contentType: 3n, x5chain: 33n };
const MAX_CHAIN = 5;
const MAX_CERTIFICATE_BYTES = 16 * 1024;

const payloadSchema = z.strictObject({
  "x-ms-sevsnpvm-guestsvn": z.string().regex(/^\d{1,9}$/, "expected a decimal number"),
  "x-ms-sevsnpvm-guestsvn-int": z.int().min(0).optional(),
  "x-ms-sevsnpvm-launchmeasurement": z
    .string()
    .regex(/^[0-9a-f]{96}$/, "expected 48 bytes in lower-case hex"),
});

/** A COSE_Sign1 that names the launch measurement of a utility VM. Nothing here is verified. */
export type UvmEndorsement = {
  /** COSE algorithm: -37 is PS256, -38 PS384, -39 PS512. */
  readonly algorithm: bigint;
  /** x5chain in DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** did:x509 of who endorses. */
  readonly issuer: string;
  readonly feed: string;
  /** By the signer's word: milliseconds since 1970. */
  readonly signedAtMs: number;
  /** Grows with every release of the utility VM. */
  readonly svn: number;
  /** 48 bytes: MEASUREMENT of a report from that VM. */
  readonly launchMeasurement: Uint8Array;
  /** What the signature covers. @see RFC 9052 section 4.4, Sig_structure */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
};

/**
 * Parses the reference information of a utility VM of confidential containers (Azure Container
 * Instances, virtual nodes on AKS).
 * @throws attest.invalid, attest.unsupported
 * @see RFC 9052 section 4.2; github.com/microsoft/confidential-sidecar-containers, "reference-info-base64"
 */
export function parseUvmEndorsement(bytes: Uint8Array): UvmEndorsement {
  const outer = decodeCbor(bytes);
  const parts = outer.kind === "tag" && outer.tag === COSE_SIGN1_TAG ? outer.item : null;
  if (parts?.kind !== "array" || parts.items.length !== 4)
    throw invalid("expected a tagged COSE_Sign1 of four parts");
  const [protectedHeader, unprotected, payload, signature] = parts.items;
  const encoded = bytesOf(protectedHeader, "protected header");
  const header = expectCbor(decodeCbor(encoded), "map");
  if (unprotected?.kind !== "map") throw invalid("expected a map as its unprotected header");
  const content = bytesOf(payload, "payload");
  if (textOf(cborMapGet(header, LABEL.contentType), "content type") !== "application/json")
    throw new PpmlError(
      "attest.unsupported",
      "expected a UVM endorsement of type application/json",
    );
  return {
    algorithm: integerOf(cborMapGet(header, LABEL.alg), "alg"),
    certificates: chainOf(cborMapGet(header, LABEL.x5chain)),
    issuer: textOf(cborMapGet(header, "iss"), "iss"),
    feed: textOf(cborMapGet(header, "feed"), "feed"),
    signedAtMs: signingTimeOf(cborMapGet(header, "signingtime")),
    ...parsePayload(content),
    signedBytes: sigStructure(encoded, content),
    signature: bytesOf(signature, "signature"),
  };
}

/** RFC 9052 section 4.4: ["Signature1", protected header, external_aad (empty), payload]. */
function sigStructure(header: Uint8Array, payload: Uint8Array): Uint8Array {
  return encodeCbor({
    kind: "array",
    items: [
      { kind: "text", value: "Signature1" },
      { kind: "bytes", value: header },
      { kind: "bytes", value: new Uint8Array() },
      { kind: "bytes", value: payload },
    ],
  });
}

function parsePayload(bytes: Uint8Array): Pick<UvmEndorsement, "svn" | "launchMeasurement"> {
  let value: z.infer<typeof payloadSchema>;
  try {
    value = payloadSchema.parse(JSON.parse(fromUtf8(bytes)));
  } catch (cause) {
    throw new PpmlError(
      "attest.invalid",
      `not a valid UVM endorsement: ${cause instanceof z.ZodError ? z.prettifyError(cause) : "its payload is not JSON"}`,
      { cause },
    );
  }
  const svn = Number(value["x-ms-sevsnpvm-guestsvn"]);
  if ((value["x-ms-sevsnpvm-guestsvn-int"] ?? svn) !== svn)
    throw invalid("its two guest SVNs differ");
  return { svn, launchMeasurement: fromHex(value["x-ms-sevsnpvm-launchmeasurement"]) };
}

/** An array of certificates, leaf first; RFC 9360 has a bare byte string for a single one. */
function chainOf(value: CborValue | undefined): Uint8Array[] {
  if (value?.kind !== "array" || value.items.length < 2 || value.items.length > MAX_CHAIN)
    throw invalid(`expected an x5chain of 2 to ${MAX_CHAIN} certificates`);
  return value.items.map((item) => {
    const certificate = bytesOf(item, "x5chain");
    if (certificate.byteLength > MAX_CERTIFICATE_BYTES) throw invalid("its x5chain is too long");
    return certificate;
  });
}

/** Tag 1: seconds since 1970. @see RFC 8949 section 3.4.2 */
function signingTimeOf(value: CborValue | undefined): number {
  if (value?.kind !== "tag" || value.tag !== 1n) throw invalid("expected a signingtime of tag 1");
  const seconds = integerOf(value.item, "signingtime");
  if (seconds < 0n || seconds > 253_402_300_799n) throw invalid("its signingtime is no time");
  return Number(seconds) * 1000;
}

function bytesOf(value: CborValue | undefined, what: string): Uint8Array {
  if (value?.kind !== "bytes") throw invalid(`expected bytes as ${what}`);
  return value.value;
}

function textOf(value: CborValue | undefined, what: string): string {
  if (value?.kind !== "text" || value.value.length > 1000)
    throw invalid(`expected text as ${what}`);
  return value.value;
}

function integerOf(value: CborValue | undefined, what: string): bigint {
  if (value?.kind !== "int") throw invalid(`expected an integer as ${what}`);
  return value.value;
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid UVM endorsement: ${what}`);
}
