import { PpmlError } from "../../base/index.ts";
import { DER, derContent, readDer, readDerSmallInteger, readDerText } from "../der/read.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { SnpTcb } from "./snp-fields.ts";

/** AMD's own extensions of a VCEK certificate. @see AMD 57230 (VCEK), custom extensions */
export const VCEK_OID = {
  structVersion: "1.3.6.1.4.1.3704.1.1",
  productName: "1.3.6.1.4.1.3704.1.2",
  bootloader: "1.3.6.1.4.1.3704.1.3.1",
  tee: "1.3.6.1.4.1.3704.1.3.2",
  snp: "1.3.6.1.4.1.3704.1.3.3",
  microcode: "1.3.6.1.4.1.3704.1.3.8",
  fmc: "1.3.6.1.4.1.3704.1.3.9",
  hwId: "1.3.6.1.4.1.3704.1.4",
  cspId: "1.3.6.1.4.1.3704.1.5",
} as const;

/** What a VCEK certificate says of the chip: its product, its id (64 bytes, Turin 8) and its TCB. */
export type VcekExtensions = {
  readonly productName: string;
  readonly hwId: Uint8Array;
  readonly tcb: SnpTcb;
};

/** What a VLEK certificate says: its product, the cloud provider it was loaded for and its TCB. */
export type VlekExtensions = {
  readonly productName: string;
  /** As in "CN=cc-us-east-2.amazonaws.com". */
  readonly cspId: string;
  readonly tcb: SnpTcb;
};

/**
 * Reads AMD's extensions; every one of them has to be there, FMC only on Turin.
 * @throws attest.invalid
 * @see AMD 57230 (VCEK), custom extensions: SVNs are INTEGERs of one byte, the chip id stands without a tag
 */
export function parseVcekExtensions(certificate: Certificate): VcekExtensions {
  const common = parseCommon(certificate, "VCEK");
  if (certificate.extensions.has(VCEK_OID.cspId))
    throw new PpmlError("attest.invalid", "a VCEK certificate names no cloud provider");
  // Milan and Genoa have ids of 64 bytes, Turin of 8 (AMD 57230, tables of structVersion 0 and 1).
  const length = common.tcb.fmc === null ? 64 : 8;
  const value = valueOf(certificate, VCEK_OID.hwId, "VCEK");
  // Newer certificates wrap the id in an OCTET STRING, older ones do not.
  const hwId =
    value.byteLength === length + 2 ? derContent(readDer(value, DER.octetString)) : value;
  if (hwId.byteLength !== length)
    throw new PpmlError(
      "attest.invalid",
      `expected a chip id of ${length} bytes in the VCEK certificate, got ${hwId.byteLength}`,
    );
  return { ...common, hwId };
}

/**
 * Reads AMD's extensions of a VLEK: the cloud provider in place of the chip.
 * @throws attest.invalid
 * @see AMD 58369 (VLEK), custom extensions
 */
export function parseVlekExtensions(certificate: Certificate): VlekExtensions {
  const common = parseCommon(certificate, "VLEK");
  if (certificate.extensions.has(VCEK_OID.hwId))
    throw new PpmlError("attest.invalid", "a VLEK certificate names no chip");
  const cspId = readDerText(readDer(valueOf(certificate, VCEK_OID.cspId, "VLEK"), DER.ia5String));
  return { ...common, cspId };
}

function parseCommon(
  certificate: Certificate,
  kind: "VCEK" | "VLEK",
): Pick<VcekExtensions, "productName" | "tcb"> {
  const svn = (oid: string): number => {
    const number = readDerSmallInteger(readDer(valueOf(certificate, oid, kind), DER.integer));
    if (number > 255)
      throw new PpmlError("attest.invalid", `the ${kind}'s extension ${oid} is over 255`);
    return number;
  };
  return {
    productName: readDerText(
      readDer(valueOf(certificate, VCEK_OID.productName, kind), DER.ia5String),
    ),
    tcb: {
      bootloader: svn(VCEK_OID.bootloader),
      tee: svn(VCEK_OID.tee),
      snp: svn(VCEK_OID.snp),
      microcode: svn(VCEK_OID.microcode),
      fmc: certificate.extensions.has(VCEK_OID.fmc) ? svn(VCEK_OID.fmc) : null,
    },
  };
}

function valueOf(certificate: Certificate, oid: string, kind: "VCEK" | "VLEK"): Uint8Array {
  const extension = certificate.extensions.get(oid);
  if (extension === undefined)
    throw new PpmlError("attest.invalid", `the ${kind} certificate has no extension ${oid}`);
  return extension.value;
}
