import { createPublicKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, sha256, utf8 } from "../../base/index.ts";
import {
  ECDSA_P256_ATTESTATION_KEY,
  encodeDcapQuote,
  encodeSignedBytes,
  INTEL_QE_VENDOR_ID,
} from "../evidence/dcap-quote.ts";
import type { DcapQuoteHeader } from "../evidence/dcap-quote.ts";
import { CERTIFICATION_DATA } from "../evidence/dcap-signature.ts";
import type { CertificationData, DcapSignature } from "../evidence/dcap-signature.ts";
import { encodeSgxReport } from "../evidence/sgx-report.ts";
import type { SgxReport } from "../evidence/sgx-report.ts";
import type { TdReport, TdReportType } from "../evidence/td-report.ts";
import { SIM_QE_ISV, SIM_QE_MRSIGNER, SIM_TDX_MODULE } from "./dcap-collateral.ts";
import type { SimDcapPki } from "./dcap-pki.ts";
import { encodePem } from "./pem-write.ts";

/** What a simulated quote is over: an enclave, or a trust domain in a version of the quote that has it. */
export type SimQuoteBody =
  | { readonly tee: "sgx"; readonly version: 3; readonly body: SgxReport }
  | { readonly tee: "tdx"; readonly version: 4 | 5; readonly body: TdReport };

/** What may be altered before anything is signed. */
export type SimQuoteChanges = {
  readonly header?: Partial<DcapQuoteHeader>;
  /** Members of the Quoting Enclave's report that replace the usual ones. */
  readonly qeReport?: Partial<SgxReport>;
  readonly qeAuthData?: Uint8Array;
  readonly certificationData?: CertificationData;
};

/** Makes a quote: signed by the attestation key, which the QE's report binds, which the PCK signed. */
export function makeSimQuote(
  pki: SimDcapPki,
  quote: SimQuoteBody,
  changes: SimQuoteChanges = {},
): Uint8Array {
  const { certificates, keys } = pki;
  const header: DcapQuoteHeader = {
    version: quote.version,
    attestationKeyType: ECDSA_P256_ATTESTATION_KEY,
    qeSvn: quote.tee === "sgx" ? SIM_QE_ISV.svn : 0,
    pceSvn: quote.tee === "sgx" ? pki.platform.pceSvn : 0,
    qeVendorId: INTEL_QE_VENDOR_ID,
    userData: new Uint8Array(20),
    ...changes.header,
  };
  const signedBytes =
    quote.tee === "sgx"
      ? encodeSignedBytes({ tee: "sgx", header, body: quote.body })
      : encodeSignedBytes({ tee: "tdx", header, body: quote.body });
  const attestationKey = publicPoint(keys.attestation);
  const qeAuthData = changes.qeAuthData ?? Uint8Array.from({ length: 32 }, (_, index) => index);
  const bound = sha256(attestationKey, qeAuthData);
  const qeReport: SgxReport = {
    ...simSgxReport({ mrEnclave: new Uint8Array(32).fill(0x9e), reportData: new Uint8Array(64) }),
    mrSigner: SIM_QE_MRSIGNER,
    attributes: attributes(0x11, 0xe7),
    isvProdId: SIM_QE_ISV.prodId[quote.tee],
    isvSvn: SIM_QE_ISV.svn,
    reportData: concatBytes(bound, new Uint8Array(32)),
    ...changes.qeReport,
  };
  const signature: Omit<DcapSignature, "qeReportBytes"> = {
    quoteSignature: signRaw(signedBytes, keys.attestation),
    attestationKey,
    qeReport,
    qeReportSignature: signRaw(encodeSgxReport(qeReport), keys.pck),
    qeAuthData,
    certificationData: changes.certificationData ?? {
      type: CERTIFICATION_DATA.pckCertificateChain,
      // Intel's QE ends the text with a NUL.
      data: utf8(`${encodePem(certificates.pck, certificates.pckCa, certificates.root)}\0`),
    },
  };
  return encodeDcapQuote({ header, signedBytes, signature });
}

/** An enclave's report with these two fields (32 and 64 bytes) and no debugging. */
export function simSgxReport(
  fields: Pick<SgxReport, "mrEnclave" | "reportData"> & Partial<SgxReport>,
): SgxReport {
  return {
    cpuSvn: Uint8Array.of(3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0),
    miscSelect: 0,
    isvExtProdId: new Uint8Array(16),
    attributes: attributes(0x05, 0xe7),
    mrSigner: new Uint8Array(32).fill(0x51),
    configId: new Uint8Array(64),
    isvProdId: 0,
    isvSvn: 0,
    configSvn: 0,
    isvFamilyId: new Uint8Array(16),
    ...fields,
  };
}

/** A TD's report of the given type with these two fields (48 and 64 bytes), SEPT_VE_DISABLE set. */
export function simTdReport(
  type: TdReportType,
  fields: Pick<TdReport, "mrTd" | "reportData"> & Partial<TdReport>,
): TdReport {
  const teeTcbSvn = Uint8Array.of(SIM_TDX_MODULE.svn, SIM_TDX_MODULE.version, 3, ...zero(13));
  return {
    type,
    teeTcbSvn,
    mrSeam: zero(48).fill(0x5a),
    mrSignerSeam: zero(48),
    seamAttributes: zero(8),
    tdAttributes: Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0),
    xfam: Uint8Array.of(0xe7, 0x02, 0x06, 0, 0, 0, 0, 0),
    mrConfigId: zero(48),
    mrOwner: zero(48),
    mrOwnerConfig: zero(48),
    rtmr0: zero(48),
    rtmr1: zero(48),
    rtmr2: zero(48),
    rtmr3: zero(48),
    td15: type === "td10" ? null : { teeTcbSvn2: teeTcbSvn, mrServiceTd: zero(48) },
    td15Ex:
      type !== "td15ex"
        ? null
        : {
            vmId: 0,
            tdId: zero(32).fill(0x7d),
            devInfo: zero(48),
            initServiceTdHash: zero(48),
            initServiceTdAttributes: zero(8),
            initCpuSvn: zero(16),
            initTeeTcbSvn: zero(16),
            initTeeFmspc: zero(12),
            curServiceTdHash: zero(48),
            curServiceTdAttributes: zero(8),
          },
    ...fields,
  };
}

function zero(length: number): Uint8Array {
  return new Uint8Array(length);
}

/** FLAGS and XFRM, little-endian. */
function attributes(flags: number, xfrm: number): Uint8Array {
  return Uint8Array.of(flags, ...new Uint8Array(7), xfrm, ...new Uint8Array(7));
}

/** x and y of a P-256 key: the last 64 bytes of its SubjectPublicKeyInfo. @see RFC 5480 section 2.2 */
function publicPoint(key: KeyObject): Uint8Array {
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return new Uint8Array(spki.subarray(-64));
}

function signRaw(bytes: Uint8Array, key: KeyObject): Uint8Array {
  return new Uint8Array(sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" }));
}
