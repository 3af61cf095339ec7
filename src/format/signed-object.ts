import { sign, verify } from "node:crypto";
import { z } from "zod";
import {
  concatBytes,
  fromBase64,
  PpmlError,
  sha256,
  toBase64,
  toHex,
  utf8,
} from "../base/index.ts";
import { encodeJcs, parseCanonicalJson } from "./jcs.ts";
import { ecPublicKeyOf, jwkThumbprint } from "./jwk.ts";
import type { SigningKey } from "./jwk.ts";
import { parseWith, thumbprintSchema } from "./schema.ts";
import type { EcPublicJwk } from "./schema.ts";

/** What a signed object can be; the kind is part of what is signed. */
export type SignedKind =
  | "job"
  | "log-head"
  | "manifest"
  | "owner-request"
  | "policy"
  | "receipt"
  | "reference-values"
  | "release-key"
  | "resource";

/** The DSSE payload type of each kind; a receipt is an in-toto Statement. */
export function payloadTypeOf(kind: SignedKind): string {
  return kind === "receipt"
    ? "application/vnd.in-toto+json"
    : `application/vnd.ppml.${kind}.v1+json`;
}

const base64Schema = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, "expected base64");

/** DSSE envelope with exactly one ES256 signature. @see DSSE v1.0 envelope.md */
export const envelopeSchema = z.strictObject({
  payloadType: z.string().max(100),
  payload: base64Schema,
  signatures: z
    .array(z.strictObject({ keyid: thumbprintSchema, sig: base64Schema.max(100) }))
    .length(1),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** A payload that no signature vouches for yet: only for showing, or for asking what would open it. */
export type Unverified<T> = {
  readonly payload: T;
  readonly digest: string;
  readonly keyId: string;
};

declare const verifiedBrand: unique symbol;
/** A payload whose signature by `signer` was checked. Only `verifyObject` makes one. */
export type VerifiedObject<T> = {
  readonly payload: T;
  /** SHA-256 of the payload bytes, hex: the object's name everywhere else. */
  readonly digest: string;
  readonly signer: EcPublicJwk;
  readonly keyId: string;
  readonly envelope: Envelope;
  readonly [verifiedBrand]: true;
};

/** Signs `payload` as JCS in a DSSE envelope. @see DSSE v1.0 protocol.md (PAE) */
export function signObject(kind: SignedKind, payload: unknown, key: SigningKey): Envelope {
  const bytes = encodeJcs(payload);
  const payloadType = payloadTypeOf(kind);
  const sig = sign("sha256", preAuthEncoding(payloadType, bytes), {
    key: key.privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return {
    payloadType,
    payload: toBase64(bytes),
    signatures: [{ keyid: key.keyId, sig: toBase64(sig) }],
  };
}

/**
 * Verifies that one of `signers` signed the envelope and that the payload is a `schema` of `kind`.
 * @throws format.invalid for another kind or form, format.signature for any other signer or bytes
 */
export function verifyObject<T>(options: {
  readonly kind: SignedKind;
  readonly schema: z.ZodType<T>;
  readonly envelope: Envelope;
  readonly signers: readonly EcPublicJwk[];
}): VerifiedObject<T> {
  const { kind, envelope, signers } = options;
  const { bytes, keyId, sig } = open(kind, envelope);
  const signer = signers.find((jwk) => jwkThumbprint(jwk) === keyId);
  if (signer === undefined)
    throw new PpmlError(
      "format.signature",
      `the ${kind} is signed by ${keyId}, which is not an accepted signer`,
      { detail: { kind, keyId, accepted: signers.map((jwk) => jwkThumbprint(jwk)) } },
    );
  const ok = verify(
    "sha256",
    preAuthEncoding(envelope.payloadType, bytes),
    { key: ecPublicKeyOf(signer), dsaEncoding: "ieee-p1363" },
    sig,
  );
  if (!ok)
    throw new PpmlError("format.signature", `the ${kind}'s signature by ${keyId} is not valid`, {
      detail: { kind, keyId },
    });
  const { payload, digest } = peekObject(options);
  return { payload, digest, signer, keyId, envelope } as VerifiedObject<T>;
}

/**
 * Reads the payload without checking the signature.
 * @throws format.invalid
 */
export function peekObject<T>(options: {
  readonly kind: SignedKind;
  readonly schema: z.ZodType<T>;
  readonly envelope: Envelope;
}): Unverified<T> {
  const { bytes, keyId } = open(options.kind, options.envelope);
  const payload = parseWith(options.schema, parseCanonicalJson(bytes, options.kind), {
    what: options.kind,
  });
  return { payload, digest: toHex(sha256(bytes)), keyId };
}

/** Parses the bytes of an envelope file (JSON, at most 64 MiB). @throws format.invalid */
export function parseEnvelope(value: unknown): Envelope {
  return parseWith(envelopeSchema, value, { what: "DSSE envelope" });
}

/** SHA-256, hex, of an envelope's payload bytes. */
export function envelopeDigest(envelope: Envelope): string {
  return toHex(sha256(fromBase64(envelope.payload)));
}

function open(
  kind: SignedKind,
  envelope: Envelope,
): { readonly bytes: Uint8Array; readonly keyId: string; readonly sig: Uint8Array } {
  const expected = payloadTypeOf(kind);
  if (envelope.payloadType !== expected)
    throw new PpmlError(
      "format.invalid",
      `expected a signed object of type ${expected}, got ${envelope.payloadType}`,
    );
  const signature = envelope.signatures[0];
  if (signature === undefined)
    throw new PpmlError("format.invalid", "the envelope has no signature");
  return {
    bytes: fromBase64(envelope.payload),
    keyId: signature.keyid,
    sig: fromBase64(signature.sig),
  };
}

/** DSSE v1.0: PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body. */
function preAuthEncoding(type: string, body: Uint8Array): Uint8Array {
  const typeBytes = utf8(type);
  return concatBytes(
    utf8(`DSSEv1 ${typeBytes.byteLength} `),
    typeBytes,
    utf8(` ${body.byteLength} `),
    body,
  );
}
