export {
  type AttestationResultData,
  attestationResultSchema,
  type ClaimOutcome,
  type TeeProfile,
} from "./attestation-result.ts";
export { encodeGrantBundle, type Grant, grantSchema, parseGrantBundle } from "./grant.ts";
export { encodeJcs, parseCanonicalJson, parseJson } from "./jcs.ts";
export { type Job, jobSchema } from "./job.ts";
export { jwkThumbprint, type SigningKey, signingKeyOf } from "./jwk.ts";
export { type KekPublicKey, kekPublicKeySchema, type Mode, type WrappedLocalKey } from "./kek.ts";
export {
  checkManifest,
  type Manifest,
  MANIFEST_NAME,
  type ManifestFile,
  manifestRoot,
  manifestSchema,
} from "./manifest.ts";
export { inclusionProof, merkleRoot, verifyInclusion } from "./merkle.ts";
export { type Receipt, receiptSchema } from "./receipt.ts";
export { reportDataOf, type RuntimeData, runtimeDataSchema } from "./runtime-data.ts";
export { type EcPublicJwk } from "./schema.ts";
export {
  type Envelope,
  envelopeDigest,
  parseEnvelope,
  peekObject,
  signObject,
  verifyObject,
  type VerifiedObject,
} from "./signed-object.ts";
export { type KeyHsm, type KeyHsmWrap, parseKeyHsm, unwrapKeyHsm } from "./skr/key-hsm.ts";
