import { z } from "zod";
import { defineKind } from "../state.ts";

// What the double keeps of a vault. Ids are HOST/NAME; the current version is the last one.

const versionShape = {
  /** 32 hex digits. */
  version: z.string(),
  enabled: z.boolean(),
  /** Seconds since 1970; null where not given. */
  nbf: z.number().nullable(),
  exp: z.number().nullable(),
  created: z.number(),
  updated: z.number(),
  tags: z.record(z.string(), z.string()),
};

/** When an object was deleted and when the vault purges it, in seconds since 1970. */
const deletedSchema = z.strictObject({ at: z.number(), purge: z.number() }).nullable();

/** A private or secret JWK, or what a key's material is in this form. */
const materialSchema = z.record(z.string(), z.string());

const releasePolicySchema = z.strictObject({
  contentType: z.string(),
  /** base64url of the policy's JSON. */
  data: z.string(),
  immutable: z.boolean(),
});

const keyVersionSchema = z.strictObject({
  ...versionShape,
  kty: z.enum(["RSA", "RSA-HSM", "EC", "EC-HSM", "oct", "oct-HSM"]),
  keyOps: z.array(z.string()),
  exportable: z.boolean(),
  material: materialSchema,
});
export type KeyVersion = z.infer<typeof keyVersionSchema>;
export type KeyType = KeyVersion["kty"];

/** Keys, with their private halves: the file has mode 0600, and they are worth nothing elsewhere. */
export const KEYS = defineKind(
  "keyvault-key",
  z.strictObject({
    name: z.string(),
    deleted: deletedSchema,
    /** Of the key as a whole: Key Vault refuses one for a version (AKV.SKR.1016). */
    releasePolicy: releasePolicySchema.nullable(),
    /** Whether it belongs to a certificate. */
    managed: z.boolean(),
    versions: z.array(keyVersionSchema).min(1),
  }),
);
export type KeyDocument = z.infer<(typeof KEYS)["schema"]>;

const secretVersionSchema = z.strictObject({
  ...versionShape,
  value: z.string(),
  contentType: z.string().nullable(),
});
export type SecretVersion = z.infer<typeof secretVersionSchema>;

/** Secrets, in the clear: this is a double. */
export const SECRETS = defineKind(
  "keyvault-secret",
  z.strictObject({
    name: z.string(),
    deleted: deletedSchema,
    managed: z.boolean(),
    versions: z.array(secretVersionSchema).min(1),
  }),
);
export type SecretDocument = z.infer<(typeof SECRETS)["schema"]>;

const certificateVersionSchema = z.strictObject({
  ...versionShape,
  /** DER, base64. */
  cer: z.string(),
});
export type CertificateVersion = z.infer<typeof certificateVersionSchema>;

/** Certificates; their keys and secrets are objects of the same name and version. */
export const CERTIFICATES = defineKind(
  "keyvault-certificate",
  z.strictObject({
    name: z.string(),
    deleted: deletedSchema,
    policy: z.record(z.string(), z.unknown()),
    versions: z.array(certificateVersionSchema).min(1),
  }),
);
export type CertificateDocument = z.infer<(typeof CERTIFICATES)["schema"]>;
