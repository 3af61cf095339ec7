import { createHash } from "node:crypto";
import { toHex } from "../../../base/index.ts";
import { DCAP_COLLATERAL_MEMBERS } from "../../collateral/dcap-collateral.ts";
import type { DcapCollateral } from "../../collateral/dcap-collateral.ts";
import type { TrustAnchor } from "../../x509/chain.ts";
import type { DcapSignature } from "../../evidence/dcap-signature.ts";
import type { VerifiedPck } from "./pck-chain.ts";
import type { VerifiedQe } from "./qe-report.ts";
import type { ValidityInterval } from "./verification.ts";
import type { VerifiedCollateral } from "./verify-collateral.ts";

/**
 * Remembers verified collateral, PCK chains and Quoting Enclaves under the SHA-256 of every byte that decided
 * on them, trust anchor included. Time is not part of that: each use checks it anew.
 */
export type DcapCache = {
  readonly collateral: BoundedMap<VerifiedCollateral>;
  readonly pck: BoundedMap<VerifiedPck>;
  readonly qe: BoundedMap<VerifiedQe>;
};

/** A map that forgets what was used longest ago. */
export type BoundedMap<V> = {
  readonly get: (key: string) => V | undefined;
  readonly set: (key: string, value: V) => void;
  readonly size: () => number;
};

/**
 * An empty cache for at most `maxCollateral` sets of collateral (about 100 KB each; there is one an
 * FMSPC and day), `maxPlatforms` PCK chains (about 10 KB each) and as many attestation keys, at least 1.
 */
export function createDcapCache(options: {
  readonly maxCollateral: number;
  readonly maxPlatforms: number;
}): DcapCache {
  return {
    collateral: createBoundedMap(options.maxCollateral),
    pck: createBoundedMap(options.maxPlatforms),
    qe: createBoundedMap(options.maxPlatforms),
  };
}

/**
 * The entry of `key` if it is good at `nowMs`, else what `verify` gives, which is remembered. What is
 * out of its time is verified again, so that the refusal is the same as without a cache.
 */
export function recall<V extends { readonly validity: ValidityInterval }>(
  map: BoundedMap<V> | undefined,
  options: { readonly key: string; readonly nowMs: number; readonly verify: () => V },
): V {
  const { key, nowMs, verify } = options;
  const known = map?.get(key);
  // Written so that a NaN is not served.
  if (known !== undefined && nowMs >= known.validity.fromMs && nowMs <= known.validity.toMs)
    return known;
  const verified = verify();
  map?.set(key, verified);
  return verified;
}

/** SHA-256 in hex over the trust anchor and each part of the collateral but the PCK's chain. */
export function collateralKey(collateral: DcapCollateral, anchor: TrustAnchor): string {
  const parts = [anchor.name, anchor.serial, anchor.spki];
  for (const name of DCAP_COLLATERAL_MEMBERS) {
    const bytes = name === "pckCertificateChain" ? null : collateral[name];
    if (bytes !== null) parts.push(bytes);
  }
  return digest("ppml dcap collateral v1", parts);
}

/** SHA-256 in hex over a PCK chain and the key of the collateral, whose CRLs decided on it. */
export function pckKey(pem: Uint8Array, collateral: string): string {
  return digest(`ppml dcap pck v1 ${collateral}`, [pem]);
}

/** SHA-256 in hex over what binds an attestation key to a PCK, and the key of the PCK's chain. */
export function qeKey(signature: DcapSignature, pck: string): string {
  const { attestationKey, qeReportBytes, qeReportSignature, qeAuthData } = signature;
  const parts = [attestationKey, qeReportBytes, qeReportSignature, qeAuthData];
  return digest(`ppml dcap qe v1 ${pck}`, parts);
}

/** Lengths go before the parts, so that no two lists of parts give one input. */
function digest(label: string, parts: readonly Uint8Array[]): string {
  const lengths = new DataView(new ArrayBuffer(4 * parts.length));
  parts.forEach((part, index) => lengths.setUint32(4 * index, part.byteLength));
  const hash = createHash("sha256").update(label).update(lengths);
  for (const part of parts) hash.update(part);
  return toHex(hash.digest());
}

function createBoundedMap<V>(max: number): BoundedMap<V> {
  // A Map keeps the order of insertion: its first key is the one used longest ago.
  const entries = new Map<string, V>();
  const set = (key: string, value: V): void => {
    entries.delete(key);
    entries.set(key, value);
    const [oldest] = entries.keys();
    if (entries.size > max && oldest !== undefined) entries.delete(oldest);
  };
  return {
    get: (key) => {
      const value = entries.get(key);
      if (value !== undefined) set(key, value);
      return value;
    },
    set,
    size: () => entries.size,
  };
}
