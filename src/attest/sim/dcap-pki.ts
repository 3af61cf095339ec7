import { createPrivateKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { fromHex, PpmlError } from "../../base/index.ts";
import { DER } from "../der/read.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import type { PckPlatform } from "../x509/sgx-extension.ts";
import { authorityExtensions, extension, issueCertificate } from "../x509/issue-certificate.ts";
import type { CertificateRequest } from "../x509/issue-certificate.ts";
import { der, derBitString, derInteger, derOid, derSequence } from "../der/write.ts";
import { pckExtension } from "./pck-extension.ts";

/** The certificates of Intel's hierarchy for SGX and TDX. @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5, 1.2 */
export type DcapRole = "root" | "pckCa" | "pck" | "tcbSigner";

/** A simulated hierarchy, and a simulated platform below it, with all private keys. */
export type SimDcapPki = {
  readonly platform: PckPlatform;
  readonly names: Readonly<Record<DcapRole, string>>;
  readonly serials: Readonly<Record<DcapRole, Uint8Array>>;
  /** Private P-256 keys; `attestation` is the Quoting Enclave's. */
  readonly keys: Readonly<Record<DcapRole | "attestation", KeyObject>>;
  /** DER. */
  readonly certificates: Readonly<Record<DcapRole, Uint8Array>>;
};

const YEAR_MS = 365 * 86_400_000;
const ROLES = ["root", "pckCa", "pck", "tcbSigner"] as const;
const ISSUERS: Readonly<Record<DcapRole, DcapRole>> = {
  root: "root",
  pckCa: "root",
  pck: "pckCa",
  tcbSigner: "root",
};
const YEARS: Readonly<Record<DcapRole, number>> = { root: 25, pckCa: 15, pck: 7, tcbSigner: 7 };

/** A simulated platform of the kind that has a Platform CA, with SVNs to compare. */
export const SIM_PLATFORM: PckPlatform = {
  ppid: new Uint8Array(16).fill(0x51),
  tcbComponents: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
  cpuSvn: Uint8Array.of(3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0),
  pceId: new Uint8Array(2),
  fmspc: fromHex("50504d4c5349"),
  sgxType: "scalable",
  platformInstanceId: new Uint8Array(16).fill(0x52),
  configuration: { dynamicPlatform: false, cachedKeys: true, smtEnabled: true },
};

/**
 * Makes a hierarchy from a seed of 32 bytes: the same seed gives the same keys and serial numbers.
 * Certificates are valid from an hour before `nowMs`. `change` may alter a certificate before it is
 * signed, so that tests can make wrong ones.
 * @throws attest.invalid for a seed of another length
 */
export function createSimDcapPki(options: {
  readonly seed: Uint8Array;
  readonly nowMs: number;
  readonly platform?: PckPlatform;
  readonly change?: (role: DcapRole, request: CertificateRequest) => CertificateRequest;
}): SimDcapPki {
  const { seed, nowMs, platform = SIM_PLATFORM, change = (_role, request) => request } = options;
  if (seed.byteLength !== 32)
    throw new PpmlError(
      "attest.invalid",
      `expected a seed of 32 bytes for the simulated hierarchy, got ${seed.byteLength}`,
    );
  const authority = platform.platformInstanceId === null ? "Processor" : "Platform";
  const names: SimDcapPki["names"] = {
    root: `SGX Root CA ${SIMULATION_MARK}`,
    pckCa: `PCK ${authority} CA ${SIMULATION_MARK}`,
    pck: `PCK ${SIMULATION_MARK}`,
    tcbSigner: `TCB Signing ${SIMULATION_MARK}`,
  };
  const keys = {
    ...byRole((role) => deriveKey(seed, role)),
    attestation: deriveKey(seed, "attestation"),
  };
  // A first byte of 1 keeps the INTEGER positive and without padding.
  const serials = byRole((role) => Uint8Array.of(1, ...derive(seed, `serial ${role}`, 15)));
  const notBeforeMs = nowMs - 3_600_000;
  const certificates = byRole((role) =>
    issueCertificate(
      change(role, {
        subject: names[role],
        subjectKey: keys[role],
        issuer: names[ISSUERS[role]],
        issuerKey: keys[ISSUERS[role]],
        notBeforeMs,
        notAfterMs: notBeforeMs + YEARS[role] * YEAR_MS,
        serial: serials[role],
        extensions: extensionsOf(role, platform),
      }),
    ),
  );
  return { platform, names, serials, keys, certificates };
}

/** Extensions of the role's certificate, as Intel's profile has them. */
function extensionsOf(role: DcapRole, platform: PckPlatform): Uint8Array[] {
  if (role === "root") return authorityExtensions(1);
  if (role === "pckCa") return authorityExtensions(0);
  const leaf = [
    // digitalSignature and nonRepudiation: bits 0 and 1.
    extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0xc0), 6) }),
    extension("2.5.29.19", { critical: true, value: derSequence() }),
  ];
  return role === "pck" ? [...leaf, pckExtension(platform)] : leaf;
}

function byRole<T>(make: (role: DcapRole) => T): Record<DcapRole, T> {
  const made: Partial<Record<DcapRole, T>> = {};
  for (const role of ROLES) made[role] = make(role);
  return made as Record<DcapRole, T>;
}

function derive(seed: Uint8Array, label: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", seed, "", `ppml sim dcap ${label} v1`, length));
}

/** A P-256 key whose scalar is derived: below 2^255, which is below the curve's order, and not zero. */
function deriveKey(seed: Uint8Array, label: string): KeyObject {
  const scalar = derive(seed, `key ${label}`, 32);
  scalar[0] = ((scalar[0] ?? 0) & 0x7f) | 0x40;
  const key = derSequence(derInteger(Uint8Array.of(1)), der(DER.octetString, scalar));
  const algorithm = derSequence(derOid("1.2.840.10045.2.1"), derOid("1.2.840.10045.3.1.7"));
  const pkcs8 = derSequence(derInteger(Uint8Array.of(0)), algorithm, der(DER.octetString, key));
  return createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
}
