import { fromHex, PpmlError } from "../../base/index.ts";
import {
  DER,
  derContent,
  derEndAt,
  derStartAt,
  expectTag,
  expectTagAt,
  readDer,
  readDerAt,
  readDerBoolean,
  readDerOid,
  readDerSmallInteger,
} from "../der/read.ts";
import type { DerValue } from "../der/read.ts";
import type { Certificate } from "./certificate.ts";

/** Intel's extension of a PCK certificate. @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5, 1.3.5 */
export const SGX_OID = "1.2.840.113741.1.13.1";
/** The content of its OID, to which its members add a number each; and of those that have members again. */
const PREFIX = fromHex("2a864886f84d010d01");
const TCB_PREFIX = Uint8Array.of(...PREFIX, 2);
const CONFIGURATION_PREFIX = Uint8Array.of(...PREFIX, 7);

/** What a PCK certificate says of its platform. */
export type PckPlatform = {
  /** 16 bytes: the platform's provisioning id. */
  readonly ppid: Uint8Array;
  /** The 16 SVNs that TCB info compares. */
  readonly tcbComponents: readonly number[];
  readonly pceSvn: number;
  /** 16 bytes: the CPUSVN that the certificate was made for. */
  readonly cpuSvn: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes: family, model, stepping, platform and configuration. */
  readonly fmspc: Uint8Array;
  readonly sgxType: "standard" | "scalable" | "scalable-with-integrity";
  /** 16 bytes; null in certificates of the Processor CA. */
  readonly platformInstanceId: Uint8Array | null;
  /** Null in certificates of the Processor CA. */
  readonly configuration: PckConfiguration | null;
};

/** The platform's configuration; a flag that the certificate does not have is null. */
export type PckConfiguration = {
  /** Packages can be added. */
  readonly dynamicPlatform: boolean | null;
  /** Intel's registration service keeps the platform's root keys. */
  readonly cachedKeys: boolean | null;
  /** Simultaneous multithreading is on. */
  readonly smtEnabled: boolean | null;
};

const SGX_TYPES = ["standard", "scalable", "scalable-with-integrity"] as const;
const TCB_COMPONENTS = 16;

/**
 * Reads Intel's extension of a PCK certificate, all of it: members that are not known are refused.
 * @throws attest.invalid
 * @see Intel SGX PCK Certificate and CRL Profile Specification rev. 1.5, 1.3.5
 */
export function parsePckPlatform(certificate: Certificate): PckPlatform {
  const extension = certificate.extensions.get(SGX_OID);
  if (extension === undefined)
    throw new PpmlError(
      "attest.invalid",
      `expected a PCK certificate, got "${certificate.commonName}", which has no extension ${SGX_OID}`,
    );
  const members = readMembers(readDer(extension.value, DER.sequence), { prefix: PREFIX, max: 7 });
  const [, ppid, tcb, pceId, fmspc, sgxType, instance, configuration] = members;
  const type = SGX_TYPES[readEnumerated(sgxType)];
  if (type === undefined) throw invalid("an unknown SGX type");
  const { tcbComponents, pceSvn, cpuSvn } = readTcb(expectTag(tcb, DER.sequence));
  return {
    ppid: readOctets(ppid, 16),
    tcbComponents,
    pceSvn,
    cpuSvn,
    pceId: readOctets(pceId, 2),
    fmspc: readOctets(fmspc, 6),
    sgxType: type,
    platformInstanceId: instance === undefined ? null : readOctets(instance, 16),
    configuration:
      configuration === undefined
        ? null
        : readConfiguration(expectTag(configuration, DER.sequence)),
  };
}

/** 1.2: sixteen SVNs, then 17 PCESVN and 18 CPUSVN. */
function readTcb(value: DerValue): Pick<PckPlatform, "tcbComponents" | "pceSvn" | "cpuSvn"> {
  const members = readMembers(value, { prefix: TCB_PREFIX, max: 18 });
  const tcbComponents: number[] = [];
  for (let number = 1; number <= TCB_COMPONENTS; number += 1)
    tcbComponents.push(readSvn(members[number], 255));
  return {
    tcbComponents,
    pceSvn: readSvn(members[17], 0xffff),
    cpuSvn: readOctets(members[18], 16),
  };
}

function readSvn(value: DerValue | undefined, max: number): number {
  const svn = readDerSmallInteger(value);
  if (svn > max) throw invalid(`an SVN over ${max}`);
  return svn;
}

/** 1.7: 1 dynamic platform, 2 cached keys, 3 SMT. */
function readConfiguration(value: DerValue): PckConfiguration {
  const [, dynamicPlatform, cachedKeys, smtEnabled] = readMembers(value, {
    prefix: CONFIGURATION_PREFIX,
    max: 3,
  });
  return {
    dynamicPlatform: readFlag(dynamicPlatform),
    cachedKeys: readFlag(cachedKeys),
    smtEnabled: readFlag(smtEnabled),
  };
}

function readFlag(value: DerValue | undefined): boolean | null {
  return value === undefined ? null : readDerBoolean(value);
}

/** The values of a list of (OID, value), each at the number behind `prefix`: 1 to `max`, less than 128. */
function readMembers(
  { bytes, start, end }: DerValue,
  { prefix, max }: { readonly prefix: Uint8Array; readonly max: number },
): readonly (DerValue | undefined)[] {
  const members = Array<DerValue | undefined>(max + 1).fill(undefined);
  for (let at = start; at < end;) {
    const next = derEndAt(bytes, at, end);
    expectTagAt(bytes, at, DER.sequence);
    const oid = expectTag(readDerAt(bytes, derStartAt(bytes, at), next), DER.oid);
    const value = readDerAt(bytes, oid.end, next);
    const number = numberBehind(oid, prefix);
    if (value.end !== next || number === null || members[number] !== undefined)
      throw invalid(`a member ${readDerOid(oid)} that is malformed or there twice`);
    if (number === 0 || number > max)
      throw invalid(`a member with number ${number} that is not known`);
    members[number] = value;
    at = next;
  }
  return members;
}

/** The one arc behind `prefix`, which is the content of an OID; null where there is none, or more. */
function numberBehind({ bytes, start, end }: DerValue, prefix: Uint8Array): number | null {
  if (end - start !== prefix.byteLength + 1) return null;
  for (let index = 0; index < prefix.byteLength; index += 1)
    if (bytes[start + index] !== prefix[index]) return null;
  const number = bytes[end - 1] ?? 0x80;
  return number < 0x80 ? number : null;
}

function readOctets(value: DerValue | undefined, length: number): Uint8Array {
  const content = derContent(expectTag(value, DER.octetString));
  if (content.byteLength !== length)
    throw invalid(`a member of ${content.byteLength} bytes, expected ${length}`);
  return content;
}

function readEnumerated(value: DerValue | undefined): number {
  const { bytes, start, end } = expectTag(value, DER.enumerated);
  return end - start === 1 ? (bytes[start] ?? -1) : -1;
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `the PCK certificate's SGX extension has ${what}`);
}
