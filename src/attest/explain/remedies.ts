import type { ErrorCode } from "../../base/index.ts";

/** What to do where Evidence is not verified, by the refusal's code. */
const REMEDIES: Partial<Readonly<Record<ErrorCode, string>>> = {
  "attest.invalid":
    "The file is cut, changed or of another kind than it looks: let the TEE attest again, and compare the two with `ppml attest diff`.",
  "attest.not_verified":
    "Do not trust this Evidence: its bytes or certificates are not those of the vendor's chain. Let the TEE attest again; if that is refused too, the platform is not genuine.",
  "attest.collateral":
    "Give the vendor's collateral for this platform and time (--collateral FILE or DIR), or let ppml fetch it (--fetch).",
  "attest.revoked":
    "The vendor revoked this platform or its TCB: update its firmware and fetch new certificates, or leave the platform.",
  "attest.denied": "Anybody can make this Evidence: use a TEE of your own.",
  "attest.simulated":
    "Verify it in the project whose simulation made it, or run the job in a hardware TEE.",
  "attest.unsupported":
    "Give an SGX or TDX quote, an SEV-SNP report, Azure vTPM Evidence, or a token of Microsoft Azure Attestation.",
  "attest.unprotected":
    "Start the TEE again without debugging, profiling and migration; only a policy can say that this is accepted.",
};

const GENERAL = "Read the message; `ppml attest explain` shows all that the Evidence says.";

/** What to do about a refusal of this code. */
export function remedyOfCode(code: ErrorCode): string {
  return REMEDIES[code] ?? GENERAL;
}
