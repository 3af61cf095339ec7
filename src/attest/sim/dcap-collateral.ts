import { sign } from "node:crypto";
import { toHex, toTimestamp, utf8 } from "../../base/index.ts";
import type { DcapCollateral } from "../collateral/dcap-collateral.ts";
import { issueCrl } from "./crl.ts";
import type { SimDcapPki } from "./dcap-pki.ts";
import { encodePem } from "./pem-write.ts";

const DAY_MS = 86_400_000;

/** MRSIGNER of the simulated Quoting Enclaves. */
export const SIM_QE_MRSIGNER = new Uint8Array(32).fill(0x5e);
/** ISVPRODID and ISVSVN of the simulated Quoting Enclaves. */
export const SIM_QE_ISV = { prodId: { sgx: 1, tdx: 2 }, svn: 8 } as const;
/** Major version and SVN of the simulated TDX module. */
export const SIM_TDX_MODULE = { version: 3, svn: 5 } as const;

type CrlRequest = Parameters<typeof issueCrl>[0];

/** What may be altered before anything is signed; everything else is as Intel's would be. */
export type SimCollateralChanges = {
  /** Members of the TCB info's JSON that replace the usual ones. */
  readonly tcbInfo?: Readonly<Record<string, unknown>>;
  readonly qeIdentity?: Readonly<Record<string, unknown>>;
  readonly rootCaCrl?: Partial<CrlRequest>;
  readonly pckCrl?: Partial<CrlRequest>;
};

/**
 * Makes collateral for a simulated platform, all of it up to date: CRLs and statements from an hour
 * before `nowMs`, for 30 days.
 */
export function makeSimCollateral(
  pki: SimDcapPki,
  options: {
    readonly tee: "sgx" | "tdx";
    readonly nowMs: number;
    readonly changes?: SimCollateralChanges;
  },
): DcapCollateral {
  const { tee, nowMs, changes = {} } = options;
  const { certificates, names, keys } = pki;
  const times = { thisUpdateMs: nowMs - 3_600_000, nextUpdateMs: nowMs + 30 * DAY_MS };
  const crl = (role: "root" | "pckCa", change: Partial<CrlRequest> = {}): Uint8Array =>
    issueCrl({ issuer: names[role], issuerKey: keys[role], serials: [], ...times, ...change });
  const signer = utf8(encodePem(certificates.tcbSigner, certificates.root));
  const dates = {
    issueDate: toTimestamp(times.thisUpdateMs),
    nextUpdate: toTimestamp(times.nextUpdateMs),
    tcbEvaluationDataNumber: 20,
  };
  const tcbInfo = encode({ ...tcbInfoOf(pki, tee), ...dates, ...changes.tcbInfo });
  const qeIdentity = encode({ ...qeIdentityOf(tee), ...dates, ...changes.qeIdentity });
  return {
    pckCrlIssuerChain: utf8(encodePem(certificates.pckCa, certificates.root)),
    rootCaCrl: crl("root", changes.rootCaCrl),
    pckCrl: crl("pckCa", changes.pckCrl),
    tcbInfoIssuerChain: signer,
    tcbInfo,
    tcbInfoSignature: signStatement(pki, tcbInfo),
    qeIdentityIssuerChain: signer,
    qeIdentity,
    qeIdentitySignature: signStatement(pki, qeIdentity),
    pckCertificateChain: null,
  };
}

/** Signs a statement's bytes as the hierarchy's TCB signer does: r and s, 64 bytes. */
export function signStatement(pki: SimDcapPki, json: Uint8Array): Uint8Array {
  return new Uint8Array(
    sign("sha256", json, { key: pki.keys.tcbSigner, dsaEncoding: "ieee-p1363" }),
  );
}

/** A level of TCB info at the platform's own SVNs, each lowered by `lower` where it can be. */
export function simTcbLevel(
  pki: SimDcapPki,
  options: {
    readonly tee: "sgx" | "tdx";
    readonly lower: number;
    readonly tcbStatus: string;
    readonly advisoryIDs?: readonly string[];
  },
): Readonly<Record<string, unknown>> {
  const { tee, lower, tcbStatus, advisoryIDs } = options;
  const lowered = (svn: number) => ({ svn: Math.max(0, svn - lower) });
  const tdx = [SIM_TDX_MODULE.svn, SIM_TDX_MODULE.version, 3, ...Array<number>(13).fill(0)];
  return {
    tcb: {
      sgxtcbcomponents: pki.platform.tcbComponents.map(lowered),
      pcesvn: Math.max(0, pki.platform.pceSvn - lower),
      ...(tee === "tdx" ? { tdxtcbcomponents: tdx.map(lowered) } : {}),
    },
    tcbDate: lower === 0 ? "2026-03-11T00:00:00Z" : "2024-03-13T00:00:00Z",
    tcbStatus,
    ...(advisoryIDs === undefined ? {} : { advisoryIDs }),
  };
}

function tcbInfoOf(pki: SimDcapPki, tee: "sgx" | "tdx"): Readonly<Record<string, unknown>> {
  const moduleFields = {
    mrsigner: "00".repeat(48),
    attributes: "00".repeat(8),
    attributesMask: "FF".repeat(8),
  };
  return {
    id: tee.toUpperCase(),
    version: 3,
    fmspc: toHex(pki.platform.fmspc).toUpperCase(),
    pceId: toHex(pki.platform.pceId),
    tcbType: 0,
    ...(tee === "sgx"
      ? {}
      : {
          tdxModule: moduleFields,
          tdxModuleIdentities: [
            {
              id: "TDX_03",
              ...moduleFields,
              tcbLevels: [
                moduleLevel(SIM_TDX_MODULE.svn, "2026-03-11T00:00:00Z", "UpToDate"),
                moduleLevel(SIM_TDX_MODULE.svn - 2, "2024-03-13T00:00:00Z", "OutOfDate"),
              ],
            },
          ],
        }),
    tcbLevels: [
      simTcbLevel(pki, { tee, lower: 0, tcbStatus: "UpToDate" }),
      simTcbLevel(pki, {
        tee,
        lower: 1,
        tcbStatus: "OutOfDate",
        advisoryIDs: ["PPML-SIM-00001"],
      }),
    ],
  };
}

function moduleLevel(isvsvn: number, tcbDate: string, tcbStatus: string) {
  return { tcb: { isvsvn }, tcbDate, tcbStatus };
}

function qeIdentityOf(tee: "sgx" | "tdx"): Readonly<Record<string, unknown>> {
  return {
    id: tee === "sgx" ? "QE" : "TD_QE",
    version: 2,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: toHex(SIM_QE_MRSIGNER).toUpperCase(),
    isvprodid: SIM_QE_ISV.prodId[tee],
    tcbLevels: [
      {
        tcb: { isvsvn: SIM_QE_ISV.svn },
        tcbDate: "2026-03-11T00:00:00Z",
        tcbStatus: "UpToDate",
      },
      {
        tcb: { isvsvn: SIM_QE_ISV.svn - 2 },
        tcbDate: "2023-02-15T00:00:00Z",
        tcbStatus: "OutOfDate",
        advisoryIDs: ["PPML-SIM-00002"],
      },
    ],
  };
}

function encode(value: Readonly<Record<string, unknown>>): Uint8Array {
  return utf8(JSON.stringify(value));
}
