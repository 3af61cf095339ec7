import type { KeyObject } from "node:crypto";
import { PpmlError, sha256, toHex } from "../../base/index.ts";

/**
 * Report data (their first 32 bytes) of reports by real chips that bind a key whose private half is
 * published: what stands behind them is nobody's TEE.
 * @see github.com/Azure/azure-cleanroom, samples/reports, commit a2d263e0: insecure-virtual and cvm/insecure-virtual
 */
const REPORT_DATA: ReadonlySet<string> = new Set([
  // insecure-virtual/signing
  "33e5dcd4b0ed8556b2420998a7e0832dfcc0343f6691229bae5e54ae5e234f87",
  // insecure-virtual/encryption
  "2097b3fdd5aba9a1812c0c3adf575d4ff385ea5e08efb002a75b5c3f5bd2b787",
  // cvm/insecure-virtual/signing
  "200f7db6631c57496179bd304dc3406386cb1c6422436754fa40c75f9581664d",
  // cvm/insecure-virtual/encryption
  "838ecdd665dd7fe3e885996ac9cb0f5fa8441a6d67a0e97aca77bd601d0d98e2",
]);

/** SHA-256 of SubjectPublicKeyInfo of keys whose private half is published, in the same samples. */
const KEYS: ReadonlySet<string> = new Set([
  // insecure-virtual/signing
  "ef6dada6f58a9773adc0e1a9a748c663e7376c723ce55c1d419f7fb49a13eaa5",
  // insecure-virtual/encryption
  "cd33bd2025c7980b02f8f6a13d8ba068bc16b002f809ae6cb51362d5eb97dec6",
  // cvm/insecure-virtual/encryption
  "2be0a3f3cb96c9a852e364ba3404a6fe9f375a6d289eeca540cf64eb54295ee3",
]);

/**
 * Refuses report data (64 bytes) that binds a published key.
 * @throws attest.denied
 */
export function refusePublishedReport(reportData: Uint8Array): void {
  if (REPORT_DATA.has(toHex(reportData.subarray(0, 32))))
    throw new PpmlError(
      "attest.denied",
      "this report binds a key whose private half is published in Azure's clean room samples: let your own TEE attest",
    );
}

/**
 * Refuses a public key whose private half is published.
 * @throws attest.denied
 */
export function refusePublishedKey(key: KeyObject): void {
  refusePublishedKeyDigest(sha256(key.export({ format: "der", type: "spki" })));
}

/**
 * Refuses a public key, by the SHA-256 of its SubjectPublicKeyInfo, whose private half is published.
 * @throws attest.denied
 */
export function refusePublishedKeyDigest(digest: Uint8Array): void {
  if (KEYS.has(toHex(digest)))
    throw new PpmlError(
      "attest.denied",
      "the private half of this key is published in Azure's clean room samples: use a key of your own",
    );
}
