import {
  nextAdvisoryIds,
  readAdvisoryIds,
  readHexBytes,
  readList,
  readMembers,
  readOneOf,
  readText,
  readTime,
  readUnsigned,
  wrongMember,
} from "./members.ts";
import type { Members } from "./members.ts";
import type { JsonReader } from "./json-reader.ts";
import { parseSignedJson } from "./signed-json.ts";
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
  readonly tcbType: number;
  readonly tcbEvaluationDataNumber: number;
  readonly tdxModule: TdxModule | undefined;
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[];
  readonly tcbLevels: readonly TcbLevel[];
};

/** What a platform has to reach for a level; SVNs of 16 components each. */
export type TcbLevel = {
  readonly tcb: {
    readonly sgxtcbcomponents: readonly number[];
    readonly pcesvn: number;
    readonly tdxtcbcomponents: readonly number[] | undefined;
  };
  readonly tcbDate: number;
  readonly tcbStatus: PlatformStatus;
  readonly advisoryIDs: readonly string[];
};

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

export type TdxModuleTcbLevel = {
  readonly tcb: { readonly isvsvn: number };
  readonly tcbDate: number;
  readonly tcbStatus: ModuleStatus;
  readonly advisoryIDs: readonly string[];
};

const IDS = ["SGX", "TDX"] as const;
const COMPONENTS = 16;
const MAX_LEVELS = 500;

/**
 * Parses the JSON of TCB info, version 3, with its levels in the order in which they are to be tried:
 * by SGX components, then PCESVN, then TDX components, highest first, whatever order the JSON has.
 * Members that are not known are left out: Intel adds some. Its signature is not checked.
 * @throws attest.invalid, attest.unsupported for version 2
 * @see Intel SGX and TDX PCS API v4, "TCB Info V3"
 */
export function parseTcbInfo(json: Uint8Array): TcbInfo {
  const { levels, members } = readStatement(json);
  const unsigned = (name: string, max: number): number => readUnsigned(members[name], max, name);
  const { tdxModule, tdxModuleIdentities } = members;
  return {
    id: readOneOf(members["id"], IDS, "id"),
    version: 3,
    issueDate: readTime(members["issueDate"], "issueDate"),
    nextUpdate: readTime(members["nextUpdate"], "nextUpdate"),
    fmspc: readHexBytes(members["fmspc"], 6, "fmspc"),
    pceId: readHexBytes(members["pceId"], 2, "pceId"),
    tcbType: unsigned("tcbType", 0xffff),
    tcbEvaluationDataNumber: unsigned("tcbEvaluationDataNumber", 0xffffffff),
    tdxModule:
      tdxModule === undefined ? undefined : readModule(readMembers(tdxModule, "tdxModule")),
    tdxModuleIdentities: readList(tdxModuleIdentities === undefined ? [] : tdxModuleIdentities, {
      name: "tdxModuleIdentities",
      min: 0,
      max: 100,
      read: readModuleIdentity,
    }),
    tcbLevels: levels.toSorted(compareLevels),
  };
}

/** The levels, which are nearly all of it, and all other members as they are. */
function readStatement(bytes: Uint8Array): {
  readonly levels: readonly TcbLevel[];
  readonly members: Members;
} {
  let levels: readonly TcbLevel[] = [];
  const members = parseSignedJson(bytes, {
    what: "the TCB info",
    version: [3],
    readOwn: (json) => {
      if (!json.isNamed("tcbLevels")) return false;
      levels = readLevels(json);
      return true;
    },
  });
  if (levels.length === 0) throw wrongMember("tcbLevels", `a list of 1 to ${MAX_LEVELS}`);
  return { levels, members };
}

function readLevels(json: JsonReader): readonly TcbLevel[] {
  const levels: TcbLevel[] = [];
  json.enterList();
  while (json.nextItem()) {
    if (levels.length === MAX_LEVELS)
      throw wrongMember("tcbLevels", `a list of 1 to ${MAX_LEVELS}`);
    levels.push(readLevel(json));
  }
  return levels;
}

function readLevel(json: JsonReader): TcbLevel {
  let tcb: TcbLevel["tcb"] | undefined;
  let date: unknown;
  let status: unknown;
  let advisoryIDs: readonly string[] = [];
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("tcb")) tcb = readTcb(json);
    else if (json.isNamed("tcbDate")) date = json.value();
    else if (json.isNamed("tcbStatus")) status = json.value();
    else if (json.isNamed("advisoryIDs")) advisoryIDs = nextAdvisoryIds(json);
    else json.value();
  }
  if (tcb === undefined) throw wrongMember("tcb", "an object");
  return {
    tcb,
    tcbDate: readTime(date, "tcbDate"),
    tcbStatus: readOneOf(status, PLATFORM_STATUSES, "tcbStatus"),
    advisoryIDs,
  };
}

function readTcb(json: JsonReader): TcbLevel["tcb"] {
  let sgxtcbcomponents: readonly number[] | undefined;
  let tdxtcbcomponents: readonly number[] | undefined;
  let pcesvn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("sgxtcbcomponents")) sgxtcbcomponents = readComponents(json);
    else if (json.isNamed("tdxtcbcomponents")) tdxtcbcomponents = readComponents(json);
    else if (json.isNamed("pcesvn")) pcesvn = json.value();
    else json.value();
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
    svns.push(readComponent(json));
  }
  if (svns.length < COMPONENTS) throw wrongMember("tcbcomponents", "a list of 16");
  return svns;
}

function readComponent(json: JsonReader): number {
  let svn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("svn")) svn = json.value();
    else json.value();
  }
  return readUnsigned(svn, 255, "svn");
}

function readModule(members: Members): TdxModule {
  return {
    mrsigner: readHexBytes(members["mrsigner"], 48, "mrsigner"),
    attributes: readHexBytes(members["attributes"], 8, "attributes"),
    attributesMask: readHexBytes(members["attributesMask"], 8, "attributesMask"),
  };
}

function readModuleIdentity(value: unknown): TdxModuleIdentity {
  const members = readMembers(value, "tdxModuleIdentities");
  return {
    id: readText(members["id"], 20, "id"),
    ...readModule(members),
    tcbLevels: readList(members["tcbLevels"], {
      name: "tcbLevels",
      min: 1,
      max: 100,
      read: readModuleLevel,
    }),
  };
}

function readModuleLevel(value: unknown): TdxModuleTcbLevel {
  const level = readMembers(value, "tcbLevels");
  return {
    tcb: { isvsvn: readUnsigned(readMembers(level["tcb"], "tcb")["isvsvn"], 255, "isvsvn") },
    tcbDate: readTime(level["tcbDate"], "tcbDate"),
    tcbStatus: readOneOf(level["tcbStatus"], MODULE_STATUSES, "tcbStatus"),
    advisoryIDs: readAdvisoryIds(level["advisoryIDs"]),
  };
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
  for (let index = 0; index < COMPONENTS; index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
