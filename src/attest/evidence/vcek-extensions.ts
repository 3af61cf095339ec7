import { PpmlError } from "../../base/index.ts";
import { DER, readDer, readDerSmallInteger, readDerText } from "../der/read.ts";
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
} as const;

/** What a VCEK certificate says of the chip: its product, its id (64 bytes) and its TCB. */
export type VcekExtensions = {
  readonly productName: string;
  readonly hwId: Uint8Array;
  readonly tcb: SnpTcb;
};

/**
 * Reads AMD's extensions; every one of them has to be there, FMC only on Turin.
 * @throws attest.invalid
 * @see AMD 57230 (VCEK), custom extensions: SVNs are INTEGERs of one byte, the chip id stands without a tag
 */
export function parseVcekExtensions(certificate: Certificate): VcekExtensions {
  const value = (oid: string): Uint8Array => {
    const extension = certificate.extensions.get(oid);
    if (extension === undefined)
      throw new PpmlError("attest.invalid", `the VCEK certificate has no extension ${oid}`);
    return extension.value;
  };
  const svn = (oid: string): number => {
    const number = readDerSmallInteger(readDer(value(oid), DER.integer));
    if (number > 255)
      throw new PpmlError("attest.invalid", `the VCEK's extension ${oid} is over 255`);
    return number;
  };
  const hwId = value(VCEK_OID.hwId);
  if (hwId.byteLength !== 64)
    throw new PpmlError(
      "attest.invalid",
      `expected a chip id of 64 bytes in the VCEK certificate, got ${hwId.byteLength}`,
    );
  return {
    productName: readDerText(readDer(value(VCEK_OID.productName), DER.ia5String)),
    hwId,
    tcb: {
      bootloader: svn(VCEK_OID.bootloader),
      tee: svn(VCEK_OID.tee),
      snp: svn(VCEK_OID.snp),
      microcode: svn(VCEK_OID.microcode),
      fmc: certificate.extensions.has(VCEK_OID.fmc) ? svn(VCEK_OID.fmc) : null,
    },
  };
}
