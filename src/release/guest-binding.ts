import { PpmlError, toBase64Url } from "../base/index.ts";
import { expectedBinding } from "../attest/appraise/binding.ts";
import type { Evidence } from "../attest/evidence/evidence.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import { rcarRuntimeBytes } from "../format/rcar.ts";
import type { RcarRuntimeData, RcarTeeKey } from "../format/rcar.ts";

/** What the Evidence of a guest without a job binds, by the protocol that it came by. */
export type GuestBinding =
  /** RCAR: nonce and key; the answer is encrypted to the key. */
  | { readonly kind: "rcar"; readonly runtimeData: RcarRuntimeData }
  /** RA-TLS: the key of the client's certificate, which the connection proved; the answer goes over it. */
  | {
      readonly kind: "ra-tls";
      /** 64 bytes. */
      readonly reportData: Uint8Array;
      /** SHA-256 of the key's SubjectPublicKeyInfo. */
      readonly publicKeySha256: Uint8Array;
    };

/** The bytes that Evidence of that kind has to hold. */
export function boundByGuest(evidence: Evidence, binding: GuestBinding): Uint8Array {
  return binding.kind === "rcar"
    ? expectedBinding(evidence, rcarRuntimeBytes(binding.runtimeData))
    : binding.reportData;
}

/** Names the guest's key in the log: its thumbprint, or the SHA-256 of its SubjectPublicKeyInfo. */
export function guestKeyId(binding: GuestBinding): string {
  return binding.kind === "rcar"
    ? jwkThumbprint(binding.runtimeData["tee-pubkey"])
    : toBase64Url(binding.publicKeySha256);
}

/** The key that an answer is encrypted to. @throws base.internal where it goes over the connection */
export function recipientOf(binding: GuestBinding): RcarTeeKey {
  if (binding.kind === "rcar") return binding.runtimeData["tee-pubkey"];
  throw new PpmlError("base.internal", "an answer by RA-TLS is not encrypted to a key");
}
