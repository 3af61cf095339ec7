import { z } from "zod";
import {
  advisoryIdsSchema,
  collateralTimeSchema,
  hexBytesSchema,
  moduleStatusSchema,
  platformStatusSchema,
} from "./tcb-status.ts";
import { parseSignedJson } from "./signed-json.ts";

const svnSchema = z.int().min(0).max(255);

/**
 * Sixteen SVNs; category and type beside them are for people. One check for all of them: a document
 * has some 500, and a schema for each takes most of the time of its parsing.
 */
const componentsSchema = z.unknown().transform((value, context): readonly number[] => {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  const svns = list.map((item) =>
    typeof item === "object" && item !== null && "svn" in item ? item.svn : null,
  );
  const known = svns.filter(isSvn);
  if (known.length !== 16 || svns.length !== 16)
    context.addIssue("expected 16 components, each with an svn from 0 to 255");
  return known;
});

function isSvn(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255;
}

const tcbSchema = z.object({
  sgxtcbcomponents: componentsSchema,
  pcesvn: z.int().min(0).max(0xffff),
  tdxtcbcomponents: componentsSchema.optional(),
});

const tcbLevelSchema = z.object({
  tcb: tcbSchema,
  tcbDate: collateralTimeSchema,
  tcbStatus: platformStatusSchema,
  advisoryIDs: advisoryIdsSchema,
});
export type TcbLevel = z.infer<typeof tcbLevelSchema>;

const moduleFields = {
  mrsigner: hexBytesSchema(48),
  attributes: hexBytesSchema(8),
  attributesMask: hexBytesSchema(8),
};

const moduleTcbLevelSchema = z.object({
  tcb: z.object({ isvsvn: svnSchema }),
  tcbDate: collateralTimeSchema,
  tcbStatus: moduleStatusSchema,
  advisoryIDs: advisoryIdsSchema,
});
export type TdxModuleTcbLevel = z.infer<typeof moduleTcbLevelSchema>;

const moduleIdentitySchema = z.object({
  /** `TDX_` and the module's major version in two hex digits. */
  id: z.string().max(20),
  ...moduleFields,
  tcbLevels: z.array(moduleTcbLevelSchema).min(1).max(100),
});
export type TdxModuleIdentity = z.infer<typeof moduleIdentitySchema>;

const tdxModuleSchema = z.object(moduleFields);
export type TdxModule = z.infer<typeof tdxModuleSchema>;

const tcbInfoSchema = z.object({
  id: z.enum(["SGX", "TDX"]),
  version: z.literal(3),
  issueDate: collateralTimeSchema,
  nextUpdate: collateralTimeSchema,
  fmspc: hexBytesSchema(6),
  pceId: hexBytesSchema(2),
  tcbType: z.int().min(0).max(0xffff),
  tcbEvaluationDataNumber: z.int().min(0).max(0xffffffff),
  tdxModule: tdxModuleSchema.optional(),
  tdxModuleIdentities: z.array(moduleIdentitySchema).max(100).default([]),
  tcbLevels: z.array(tcbLevelSchema).min(1).max(500),
});

/** TCB info of one FMSPC, version 3; times in milliseconds. @see Intel SGX and TDX PCS API v4, TCB Info V3 */
export type TcbInfo = z.infer<typeof tcbInfoSchema>;

/**
 * Parses the JSON of TCB info, version 3, with its levels in the order in which they are to be tried:
 * by SGX components, then PCESVN, then TDX components, highest first, whatever order the JSON has.
 * Members that are not known are left out: Intel adds some. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported for version 2
 * @see Intel SGX and TDX PCS API v4, "TCB Info V3"
 */
export function parseTcbInfo(json: Uint8Array): TcbInfo {
  const info = parseSignedJson(json, {
    schema: tcbInfoSchema,
    what: "the TCB info",
    version: [3],
  });
  return { ...info, tcbLevels: info.tcbLevels.toSorted(compareLevels) };
}

/** Highest first. Components that are not there count as lower than any. */
function compareLevels(a: TcbLevel, b: TcbLevel): number {
  return (
    compareComponents(b.tcb.sgxtcbcomponents, a.tcb.sgxtcbcomponents) ||
    b.tcb.pcesvn - a.tcb.pcesvn ||
    compareComponents(b.tcb.tdxtcbcomponents ?? [], a.tcb.tdxtcbcomponents ?? [])
  );
}

function compareComponents(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 16; index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
