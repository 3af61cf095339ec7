import { teeOfProvider } from "./tsm.ts";

/** What was found at one place where a TEE could be: its word, or why there is none. */
export type Probed<T> = { readonly found: T } | { readonly missing: string };

/** What a machine shows of itself. @see probeMachine */
export type MachineListing = {
  /** Gramine's attestation type: dcap, none, epid. */
  readonly gramine: Probed<string>;
  /** configfs-tsm's provider: tdx_guest, sev_guest. */
  readonly tsm: Probed<string>;
  /** The hardware report in the vTPM of an Azure confidential VM. */
  readonly azureVtpm: Probed<"snp" | "tdx">;
  /** Whether the guest's device is there. */
  readonly tdxGuest: Probed<true>;
  readonly sevGuest: Probed<true>;
};

/** A way to Evidence on a machine, and the wire type of what comes by it. */
export type AttesterWay =
  | { readonly way: "gramine"; readonly evidenceType: "sgx" }
  | { readonly way: "tsm"; readonly evidenceType: "tdx" | "snp" }
  | { readonly way: "azure-vtpm"; readonly evidenceType: "az-snp-vtpm" | "az-tdx-vtpm" }
  | { readonly way: "tdx-guest"; readonly evidenceType: "tdx" }
  | { readonly way: "sev-guest"; readonly evidenceType: "snp" };

/** Which TEE a machine has, or why none; `reasons` holds a sentence on each way that is not open. */
export type DetectedTee = (AttesterWay | { readonly way: null; readonly evidenceType: null }) & {
  readonly reasons: readonly string[];
};

/**
 * Says which Attester this machine has: an enclave before the VM that it runs in, a quote by the
 * kernel before one by the vTPM, both before the devices' ioctls.
 */
export function detectTee(listing: MachineListing): DetectedTee {
  const reasons: string[] = [];
  for (const look of LOOKS) {
    const seen = look(listing);
    if (typeof seen !== "string") return { ...seen, reasons };
    reasons.push(seen);
  }
  return { way: null, evidenceType: null, reasons };
}

const LOOKS: readonly ((listing: MachineListing) => AttesterWay | string)[] = [
  ({ gramine }) => {
    if ("missing" in gramine) return `No Gramine enclave: ${gramine.missing}.`;
    if (gramine.found === "dcap") return { way: "gramine", evidenceType: "sgx" };
    return `A Gramine enclave without DCAP (its attestation type is ${gramine.found}): set sgx.remote_attestation = "dcap" in the manifest.`;
  },
  ({ tsm }) => {
    if ("missing" in tsm) return `No configfs-tsm: ${tsm.missing}.`;
    const tee = teeOfProvider(tsm.found);
    return tee === null
      ? `configfs-tsm's provider ${tsm.found} is not known here: tdx_guest and sev_guest are.`
      : { way: "tsm", evidenceType: tee };
  },
  ({ azureVtpm }) =>
    "missing" in azureVtpm
      ? `No vTPM of an Azure confidential VM: ${azureVtpm.missing}.`
      : { way: "azure-vtpm", evidenceType: `az-${azureVtpm.found}-vtpm` },
  ({ tdxGuest }) =>
    "missing" in tdxGuest
      ? `No TDX guest device: ${tdxGuest.missing}.`
      : { way: "tdx-guest", evidenceType: "tdx" },
  ({ sevGuest }) =>
    "missing" in sevGuest
      ? `No SEV-SNP guest device: ${sevGuest.missing}.`
      : { way: "sev-guest", evidenceType: "snp" },
];
