import { DER } from "../der/read.ts";
import { SGX_OID } from "../x509/sgx-extension.ts";
import type { PckPlatform } from "../x509/sgx-extension.ts";
import { extension } from "../x509/issue-certificate.ts";
import { der, derBoolean, derInteger, derOid, derSequence } from "../der/write.ts";

const SGX_TYPES = { standard: 0, scalable: 1, "scalable-with-integrity": 2 } as const;

/** Intel's extension of a PCK certificate. The inverse of `parsePckPlatform`. */
export function pckExtension(platform: PckPlatform): Uint8Array {
  const { configuration, platformInstanceId } = platform;
  const tcb = [
    ...platform.tcbComponents.map((svn) => small(svn)),
    small(platform.pceSvn),
    der(DER.octetString, platform.cpuSvn),
  ].map((value, index) => member(`2.${index + 1}`, value));
  const members = [
    member("1", der(DER.octetString, platform.ppid)),
    member("2", derSequence(...tcb)),
    member("3", der(DER.octetString, platform.pceId)),
    member("4", der(DER.octetString, platform.fmspc)),
    member("5", der(DER.enumerated, Uint8Array.of(SGX_TYPES[platform.sgxType]))),
  ];
  if (platformInstanceId !== null)
    members.push(member("6", der(DER.octetString, platformInstanceId)));
  if (configuration !== null) {
    const { dynamicPlatform, cachedKeys, smtEnabled } = configuration;
    const flags = [dynamicPlatform, cachedKeys, smtEnabled].flatMap((flag, index) =>
      flag === null ? [] : [member(`7.${index + 1}`, derBoolean(flag))],
    );
    members.push(member("7", derSequence(...flags)));
  }
  return extension(SGX_OID, { critical: false, value: derSequence(...members) });
}

function member(suffix: string, value: Uint8Array): Uint8Array {
  return derSequence(derOid(`${SGX_OID}.${suffix}`), value);
}

function small(value: number): Uint8Array {
  return derInteger(Uint8Array.of(value >>> 8, value & 0xff));
}
