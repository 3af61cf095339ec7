import { utf8 } from "../../base/index.ts";
import { highestFirst, nextEnclaveLevels, readLevel } from "./levels.ts";
import type { EnclaveTcbLevel, Level } from "./levels.ts";
import type { JsonReader } from "./json-reader.ts";
import {
  nextList,
  readHexBytes,
  readOneOf,
  readText,
  readTime,
  readUnsigned,
  wrongMember,
} from "./members.ts";
import { readSignedJson } from "./signed-json.ts";
import { MODULE_STATUSES, PLATFORM_STATUSES } from "./tcb-status.ts";
import type { ModuleStatus, PlatformStatus } from "./tcb-status.ts";

/** TCB info of one FMSPC, version 3; times in milliseconds. @see Intel SGX and TDX PCS API v4, TCB Info V3 */
export type TcbInfo = {
  readonly id: (typeof IDS)[number];
  readonly version: 3;
  readonly issueDate: number;
  readonly nextUpdate: number;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  readonly tcbType: 0;
  readonly tcbEvaluationDataNumber: number;
  readonly tdxModule: TdxModule | undefined;
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[];
  readonly tcbLevels: readonly TcbLevel[];
};

/** What a platform has to reach for a level; SVNs of 16 components each. */
export type TcbLevel = Level<
  {
    readonly sgxtcbcomponents: readonly number[];
    readonly pcesvn: number;
    /** There in all levels of TDX TCB info. */
    readonly tdxtcbcomponents: readonly number[] | undefined;
  },
  PlatformStatus
>;

/** What a TDX module has to be. */
export type TdxModule = {
  /** 48 bytes. */
  readonly mrsigner: Uint8Array;
  /** 8 bytes, as its mask. */
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
};

/** What a TDX module of one major version has to be, and the levels of its SVN. */
export type TdxModuleIdentity = TdxModule & {
  /** `TDX_` and the module's major version in two hex digits. */
  readonly id: string;
  readonly tcbLevels: readonly TdxModuleTcbLevel[];
};

export type TdxModuleTcbLevel = EnclaveTcbLevel<ModuleStatus>;

const IDS = ["SGX", "TDX"] as const;
const COMPONENTS = 16;
const MAX_LEVELS = 500;

const PLATFORM_LEVEL = { readTcb, statuses: PLATFORM_STATUSES };
const LEVELS = {
  name: "tcbLevels",
  min: 1,
  max: MAX_LEVELS,
  read: (json: JsonReader): TcbLevel => readLevel(json, PLATFORM_LEVEL),
};
/** How a component begins that has an SVN and nothing else, as nearly all of SGX have. */
const SVN_ALONE = utf8('{"svn":');
const MODULES = { name: "tdxModuleIdentities", min: 0, max: 100, read: readModuleIdentity };
const MODULE_LEVELS = { statuses: MODULE_STATUSES, maxIsvSvn: 255 };

/**
 * Parses the JSON of TCB info, version 3, with its levels in the order in which they are to be tried:
 * by SGX components, then PCESVN, then, in TDX TCB info, TDX components, highest first, whatever order the
 * JSON has. Two levels of the same SVNs are refused, and so is a TCB type other than 0.
 * Members that are not known are left out: Intel adds some. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported for version 2
 * @see Intel SGX and TDX PCS API v4, "TCB Info V3"; Intel QVL, TcbInfo
 */
export function parseTcbInfo(json: Uint8Array): TcbInfo {
  const read = readStatement(json);
  const id = readOneOf(read.id, IDS, "id");
  return {
    id,
    version: 3,
    issueDate: readTime(read.issueDate, "issueDate"),
    nextUpdate: readTime(read.nextUpdate, "nextUpdate"),
    fmspc: readHexBytes(read.fmspc, 6, "fmspc"),
    pceId: readHexBytes(read.pceId, 2, "pceId"),
    tcbType: readTcbType(read.tcbType),
    tcbEvaluationDataNumber: readUnsigned(
      read.tcbEvaluationDataNumber,
      0xffffffff,
      "tcbEvaluationDataNumber",
    ),
    tdxModule: read.tdxModule,
    tdxModuleIdentities: read.tdxModuleIdentities,
    tcbLevels: id === "SGX" ? highestFirst(read.tcbLevels, compareSgx) : sortTdx(read.tcbLevels),
  };
}

/** The members as they stand there; those that are objects or lists are read already. */
class Statement {
  id: unknown;
  issueDate: unknown;
  nextUpdate: unknown;
  fmspc: unknown;
  pceId: unknown;
  tcbType: unknown;
  tcbEvaluationDataNumber: unknown;
  tdxModule: TdxModule | undefined;
  tdxModuleIdentities: readonly TdxModuleIdentity[] = [];
  tcbLevels: readonly TcbLevel[] = [];
}

function readStatement(bytes: Uint8Array): Statement {
  const read = new Statement();
  readSignedJson(bytes, {
    what: "the TCB info",
    version: [3],
    read: (json) => {
      readStatementMember(json, read);
    },
  });
  if (read.tcbLevels.length === 0) throw wrongMember("tcbLevels", `a list of 1 to ${MAX_LEVELS}`);
  return read;
}

function readStatementMember(json: JsonReader, read: Statement): void {
  if (json.isNamed("tcbLevels")) read.tcbLevels = nextList(json, LEVELS);
  else if (json.isNamed("id")) read.id = json.value();
  else if (json.isNamed("issueDate")) read.issueDate = json.value();
  else if (json.isNamed("nextUpdate")) read.nextUpdate = json.value();
  else if (json.isNamed("fmspc")) read.fmspc = json.value();
  else if (json.isNamed("pceId")) read.pceId = json.value();
  else if (json.isNamed("tcbType")) read.tcbType = json.valueInDigits();
  else if (json.isNamed("tcbEvaluationDataNumber"))
    read.tcbEvaluationDataNumber = json.valueInDigits();
  else if (json.isNamed("tdxModule")) read.tdxModule = readModule(json);
  else if (json.isNamed("tdxModuleIdentities")) read.tdxModuleIdentities = nextList(json, MODULES);
  else json.skip();
}

/** How levels compare. PCS API v4: "Type of TCB level composition that determines TCB level comparison logic". */
function readTcbType(value: unknown): 0 {
  if (value !== 0) throw wrongMember("tcbType", "0, the only way to compare levels that is known,");
  return value;
}

function readTcb(json: JsonReader): TcbLevel["tcb"] {
  let sgxtcbcomponents: readonly number[] | undefined;
  let tdxtcbcomponents: readonly number[] | undefined;
  let pcesvn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("sgxtcbcomponents")) sgxtcbcomponents = readComponents(json);
    else if (json.isNamed("tdxtcbcomponents")) tdxtcbcomponents = readComponents(json);
    else if (json.isNamed("pcesvn")) pcesvn = json.valueInDigits();
    else json.skip();
  }
  if (sgxtcbcomponents === undefined) throw wrongMember("sgxtcbcomponents", "a list of 16");
  return {
    sgxtcbcomponents,
    pcesvn: readUnsigned(pcesvn, 0xffff, "pcesvn"),
    tdxtcbcomponents,
  };
}

/** Sixteen SVNs; category and type beside them are for people. */
function readComponents(json: JsonReader): readonly number[] {
  const svns: number[] = [];
  json.enterList();
  while (json.nextItem()) {
    if (svns.length === COMPONENTS) throw wrongMember("tcbcomponents", "a list of 16");
    svns.push(readUnsigned(json.loneNumber(SVN_ALONE) ?? readComponent(json), 255, "svn"));
  }
  if (svns.length < COMPONENTS) throw wrongMember("tcbcomponents", "a list of 16");
  return svns;
}

function readComponent(json: JsonReader): unknown {
  let svn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("svn")) svn = json.valueInDigits();
    else json.skip();
  }
  return svn;
}

function readModule(json: JsonReader): TdxModule {
  const { mrsigner, attributes, attributesMask } = readModuleMembers(json);
  return { mrsigner, attributes, attributesMask };
}

function readModuleIdentity(json: JsonReader): TdxModuleIdentity {
  const { id, tcbLevels, ...module } = readModuleMembers(json);
  if (tcbLevels === undefined) throw wrongMember("tcbLevels", "a list of 1 to 100");
  return { id: readText(id, 20, "id"), ...module, tcbLevels };
}

/** What a module and the identity of a module have in common, and what only the latter has, if it is there. */
function readModuleMembers(json: JsonReader): TdxModule & {
  readonly id: unknown;
  readonly tcbLevels: readonly TdxModuleTcbLevel[] | undefined;
} {
  let id: unknown;
  let mrsigner: unknown;
  let attributes: unknown;
  let attributesMask: unknown;
  let tcbLevels: readonly TdxModuleTcbLevel[] | undefined;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("id")) id = json.value();
    else if (json.isNamed("mrsigner")) mrsigner = json.value();
    else if (json.isNamed("attributes")) attributes = json.value();
    else if (json.isNamed("attributesMask")) attributesMask = json.value();
    else if (json.isNamed("tcbLevels")) tcbLevels = nextEnclaveLevels(json, MODULE_LEVELS);
    else json.skip();
  }
  return {
    id,
    mrsigner: readHexBytes(mrsigner, 48, "mrsigner"),
    attributes: readHexBytes(attributes, 8, "attributes"),
    attributesMask: readHexBytes(attributesMask, 8, "attributesMask"),
    tcbLevels,
  };
}

/** Highest first; each has TDX components. */
function sortTdx(levels: readonly TcbLevel[]): readonly TcbLevel[] {
  if (levels.some(({ tcb }) => tcb.tdxtcbcomponents === undefined))
    throw wrongMember("tdxtcbcomponents", "a list of 16");
  return highestFirst(
    levels,
    (a, b) =>
      compareSgx(a, b) ||
      compareComponents(b.tcb.tdxtcbcomponents ?? [], a.tcb.tdxtcbcomponents ?? []),
  );
}

/** Highest first. */
function compareSgx(a: TcbLevel, b: TcbLevel): number {
  return (
    compareComponents(b.tcb.sgxtcbcomponents, a.tcb.sgxtcbcomponents) || b.tcb.pcesvn - a.tcb.pcesvn
  );
}

function compareComponents(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < COMPONENTS; index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
