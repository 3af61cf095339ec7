import { DER } from "../der/read.ts";
import { derBitString, derInteger, derText } from "../der/write.ts";
import { VCEK_OID } from "../evidence/vcek-extensions.ts";
import type { VcekExtensions, VlekExtensions } from "../evidence/vcek-extensions.ts";
import { extension } from "../x509/issue-certificate.ts";

/** Extensions of a VCEK: AMD's own, and the key's use for signatures. @see AMD 57230 (VCEK), custom extensions */
export function vcekExtensions(vcek: VcekExtensions): Uint8Array[] {
  return [...chipKeyExtensions(vcek), own(VCEK_OID.hwId, vcek.hwId)];
}

/** Extensions of a VLEK. @see AMD 58369 (VLEK), custom extensions */
export function vlekExtensions(vlek: VlekExtensions): Uint8Array[] {
  return [...chipKeyExtensions(vlek), own(VCEK_OID.cspId, derText(DER.ia5String, vlek.cspId))];
}

function chipKeyExtensions(key: Pick<VcekExtensions, "productName" | "tcb">): Uint8Array[] {
  const { productName, tcb } = key;
  return [
    extension("2.5.29.15", { critical: true, value: derBitString(Uint8Array.of(0x80), 7) }),
    own(VCEK_OID.structVersion, svn(1)),
    own(VCEK_OID.productName, derText(DER.ia5String, productName)),
    own(VCEK_OID.bootloader, svn(tcb.bootloader)),
    own(VCEK_OID.tee, svn(tcb.tee)),
    own(VCEK_OID.snp, svn(tcb.snp)),
    own(VCEK_OID.microcode, svn(tcb.microcode)),
    ...(tcb.fmc === null ? [] : [own(VCEK_OID.fmc, svn(tcb.fmc))]),
  ];
}

function own(oid: string, value: Uint8Array): Uint8Array {
  return extension(oid, { critical: false, value });
}

function svn(value: number): Uint8Array {
  return derInteger(Uint8Array.of(value));
}
