import type { ErrorCode } from "../../base/index.ts";

/** What to do where Evidence is not verified, by the refusal's code. */
const REMEDIES: Partial<Readonly<Record<ErrorCode, string>>> = {
  "attest.invalid":
    "The Evidence, or the part of its collateral that the message names, is cut, changed or of another kind than it looks: let the TEE attest again, or fetch the collateral again.",
  "attest.not_verified":
    "Do not trust this Evidence: its bytes, certificates or TCB are not what the vendor vouches for at this time (--at). Update what the message names, then let the TEE attest again; if that is refused too, the platform is not genuine.",
  "attest.collateral":
    "Give the vendor's collateral for this platform and time (--collateral FILE or DIR), or let ppml fetch it (--fetch); recorded Evidence is verified for its own time with --at.",
  "attest.revoked":
    "The vendor revoked this platform or its TCB: update its firmware and fetch new certificates, or leave the platform.",
  "attest.denied": "Anybody can make this Evidence: use a TEE of your own.",
  "attest.simulated":
    "Verify it in the project whose simulation made it, or run the job in a hardware TEE.",
  "attest.unsupported":
    "Give an SGX or TDX quote, an SEV-SNP report, Azure vTPM Evidence, a token of Microsoft Azure Attestation, or an EAR token.",
  "attest.unprotected":
    "Start the TEE again without debugging, profiling and migration; only a policy can say that this is accepted.",
};

/** Whoever issued a token can issue another; no platform stands behind its bytes. */
const TOKEN_NOT_VERIFIED =
  "Do not trust this token: ask its issuer for a new one, or verify a past one for its own time (--at). If a new one is refused too, it is not signed by the keys that you pinned.";

/** What is no token of its kind was cut or changed on its way, or made by another program. */
const TOKEN_INVALID =
  "Ask the issuer for the token again, and give it whole: the message says which part of it is not as it has to be.";

/** A token is verified with its issuer's keys, and nothing fetches them. */
const TOKEN_COLLATERAL =
  "Get the issuer's public keys from the issuer itself, over TLS, and give them (--collateral FILE); a past token is verified for its own time with --at.";

const GENERAL = "Read the message; `ppml attest explain` shows all that the Evidence says.";

/** What to do about a refusal of this code, for Evidence of wire type `kind`. */
export function remedyOfCode(code: ErrorCode, kind: string): string {
  if (kind === "maa" || kind === "ear") {
    if (code === "attest.not_verified") return TOKEN_NOT_VERIFIED;
    if (code === "attest.invalid") return TOKEN_INVALID;
    if (code === "attest.collateral") return TOKEN_COLLATERAL;
  }
  // Evidence of a kind that is known: what is not supported is what the message names.
  if (code === "attest.unsupported" && kind !== "unknown") return GENERAL;
  return REMEDIES[code] ?? GENERAL;
}
