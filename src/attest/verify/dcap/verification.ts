import type { TcbStatus } from "../../collateral/tcb-status.ts";
import type { PckPlatform } from "../../x509/sgx-extension.ts";

/**
 * What the verification of a quote found: all signatures and chains hold, nothing is revoked, and
 * Intel's collateral of the given time says this of the platform. Whether a status is good enough is
 * for the appraisal to say; `Revoked` never gets here.
 */
export type DcapVerification = {
  /** Platform, TDX module and QE together, as Intel's own library converges them. */
  readonly tcbStatus: Exclude<TcbStatus, "Revoked">;
  /** Advisories of platform, module and QE that the status is due to, without repetition. */
  readonly advisoryIds: readonly string[];
  /** The platform's TCB level that the quote meets; for a TD the one that it was launched with. */
  readonly platform: TcbFinding;
  /** The level of a TD's present TDX module (TEE_TCB_SVN2); null for enclaves and TD 1.0 reports. */
  readonly currentPlatform: TcbFinding | null;
  /** The Quoting Enclave's level. */
  readonly qe: TcbFinding & { readonly isvSvn: number };
  /** The lower one of the TCB info's and the QE identity's. */
  readonly tcbEvaluationDataNumber: number;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** What the PCK certificate says of the platform, its instance and its configuration. */
  readonly pck: PckPlatform;
  /** The time in which every certificate, CRL and statement of the collateral is good. */
  readonly validity: ValidityInterval;
  /** When Intel issued what was used, and when it is due again: milliseconds since 1970. */
  readonly collateral: CollateralDates;
};

/** A TCB level with its status, the date that Intel gives it (milliseconds) and its advisories. */
export type TcbFinding = {
  readonly status: TcbStatus;
  readonly tcbDateMs: number;
  readonly advisoryIds: readonly string[];
};

/** Both ends belong to it: milliseconds since 1970. */
export type ValidityInterval = { readonly fromMs: number; readonly toMs: number };

/** Issue and next update of each dated part of the collateral. */
export type CollateralDates = {
  readonly tcbInfo: ValidityInterval;
  readonly qeIdentity: ValidityInterval;
  readonly rootCaCrl: ValidityInterval;
  /** Null where the PCK was certified by the root itself, as only test hierarchies do. */
  readonly pckCrl: ValidityInterval | null;
};

/** The time that all intervals have in common; `fromMs` above `toMs` where there is none. */
export function intersect(intervals: readonly ValidityInterval[]): ValidityInterval {
  return {
    fromMs: Math.max(...intervals.map(({ fromMs }) => fromMs)),
    toMs: Math.min(...intervals.map(({ toMs }) => toMs)),
  };
}
