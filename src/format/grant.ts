import { z } from "zod";
import { concatBytes, PpmlError } from "../base/index.ts";
import { encodeJcs, parseCanonicalJson } from "./jcs.ts";
import { kekIdSchema, kekVersionSchema, modeSchema } from "./kek.ts";
import {
  datasetIdSchema,
  ecPublicJwkSchema,
  nameSchema,
  parseWith,
  sha256HexSchema,
  thumbprintSchema,
  timestampSchema,
} from "./schema.ts";
import { envelopeSchema } from "./signed-object.ts";

/** `typ` of the grant's JWS and of the JWE around it. @see docs/protocol.md "Grant" */
export const GRANT_JWS_TYPE = "application/vnd.ppml.grant.v1+json";
export const GRANT_JWE_TYPE = "application/vnd.ppml.grant-bundle.v1";

/** The certificate of a release key: signed by the release root that the launcher's configuration pins. */
export const releaseKeySchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  jwk: ecPublicJwkSchema,
  notBefore: timestampSchema,
  notAfter: timestampSchema,
});
export type ReleaseKey = z.infer<typeof releaseKeySchema>;

/** A dataset's lowest acceptable manifest and who may have signed it. */
export const manifestFloorSchema = z.strictObject({
  datasetId: datasetIdSchema,
  /** 0 where no manifest was ever signed. */
  minVersion: z.int().min(0),
  /** Digest of the manifest at `minVersion`: no other of that version is accepted. */
  minDigest: sha256HexSchema.nullable(),
  signers: z.array(ecPublicJwkSchema).max(20),
});
export type ManifestFloor = z.infer<typeof manifestFloorSchema>;

/** What a release key signs: the payload of the JWS inside the JWE. @see docs/protocol.md "Grant" */
export const grantSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** What was approved: the signed job, or the owner's own signed request. */
  request: z.strictObject({ kind: z.enum(["job", "owner"]), digest: sha256HexSchema }),
  policy: z.strictObject({ name: nameSchema, digest: sha256HexSchema }),
  /** Thumbprint of the key that the JWE is encrypted to. */
  recipient: thumbprintSchema,
  /** The local keys released, in the order of their bytes in the bundle. */
  keys: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
        kekId: kekIdSchema,
        kekVersion: kekVersionSchema,
      }),
    )
    .max(10_000),
  /** SHA-256 over the released key bytes, joined. */
  keysDigest: sha256HexSchema,
  floors: z.array(manifestFloorSchema).max(200),
  /** Index of the release's leaf in the broker's log. */
  logIndex: z.int().min(0),
  issuedAt: timestampSchema,
  expiresAt: timestampSchema,
});
export type Grant = z.infer<typeof grantSchema>;

const bundleHeadSchema = z.strictObject({
  certificate: envelopeSchema,
  jws: z.string().max(8 * 1024 * 1024),
});
type BundleHead = z.infer<typeof bundleHeadSchema>;

/**
 * Encodes the JWE's plaintext: u32be length of the JCS head, the head, then 32 bytes a key.
 * Key bytes stay bytes: they never become text.
 */
export function encodeGrantBundle(head: BundleHead, keys: Uint8Array): Uint8Array {
  const headBytes = encodeJcs(head);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, headBytes.byteLength);
  return concatBytes(length, headBytes, keys);
}

/**
 * Parses the JWE's plaintext; `keys` is a view of `bytes`.
 * @throws format.invalid, format.too_large
 */
export function parseGrantBundle(bytes: Uint8Array): BundleHead & { readonly keys: Uint8Array } {
  if (bytes.byteLength < 4)
    throw new PpmlError("format.invalid", "the grant is shorter than 4 bytes");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (length > bytes.byteLength - 4 || (bytes.byteLength - 4 - length) % 32 !== 0)
    throw new PpmlError("format.invalid", "the grant's lengths do not fit its bytes");
  const head = parseWith(
    bundleHeadSchema,
    parseCanonicalJson(bytes.subarray(4, 4 + length), "grant"),
    { what: "grant" },
  );
  return { ...head, keys: bytes.subarray(4 + length) };
}
