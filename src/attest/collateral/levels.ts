import type { JsonReader } from "./json-reader.ts";
import {
  nextAdvisoryIds,
  nextList,
  readOneOf,
  readTime,
  readUnsigned,
  wrongMember,
} from "./members.ts";

/** A level of TCB info, a TDX module or an enclave: what it takes, `tcb`, and what is said of it; times in ms. */
export type Level<Tcb, Status extends string> = {
  readonly tcb: Tcb;
  readonly tcbDate: number;
  readonly tcbStatus: Status;
  readonly advisoryIDs: readonly string[];
};

/** What one enclave or module has to reach for a level. */
export type EnclaveTcbLevel<Status extends string> = Level<{ readonly isvsvn: number }, Status>;

/**
 * Reads the 1 to 100 levels of an enclave or a TDX module that stand next, each of another ISVSVN, and gives
 * them highest first; `statuses` are those that they may have, `maxIsvSvn` is the highest ISVSVN.
 * @throws attest.invalid
 * @see Intel SGX and TDX PCS API v4, Enclave Identity V2, "tcbLevels"; Intel QVL, EnclaveIdentity, TdxModuleIdentity
 */
export function nextEnclaveLevels<Status extends string>(
  json: JsonReader,
  options: { readonly statuses: readonly Status[]; readonly maxIsvSvn: number },
): readonly EnclaveTcbLevel<Status>[] {
  const { statuses, maxIsvSvn } = options;
  const readTcb = (tcb: JsonReader): { readonly isvsvn: number } => readEnclaveTcb(tcb, maxIsvSvn);
  const read = (level: JsonReader): EnclaveTcbLevel<Status> =>
    readLevel(level, { readTcb, statuses });
  const levels = nextList(json, { name: "tcbLevels", min: 1, max: 100, read });
  return highestFirst(levels, (a, b) => b.tcb.isvsvn - a.tcb.isvsvn);
}

/** Reads the level that stands here, its `tcb` as `readTcb` does. @throws attest.invalid */
export function readLevel<Tcb, Status extends string>(
  json: JsonReader,
  options: {
    readonly readTcb: (json: JsonReader) => Tcb;
    readonly statuses: readonly Status[];
  },
): Level<Tcb, Status> {
  let tcb: Tcb | undefined;
  let date: unknown;
  let status: unknown;
  let advisoryIDs: readonly string[] = [];
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("tcb")) tcb = options.readTcb(json);
    else if (json.isNamed("tcbDate")) date = json.value();
    else if (json.isNamed("tcbStatus")) status = json.value();
    else if (json.isNamed("advisoryIDs")) advisoryIDs = nextAdvisoryIds(json);
    else json.skip();
  }
  if (tcb === undefined) throw wrongMember("tcb", "an object");
  return {
    tcb,
    tcbDate: readTime(date, "tcbDate"),
    tcbStatus: readOneOf(status, options.statuses, "tcbStatus"),
    advisoryIDs,
  };
}

/**
 * Levels in the order in which they are to be tried, whatever order they came in; `compare` is negative where
 * `a` is higher. Two that ask for the same are refused: which of them holds would hang on their order.
 * @throws attest.invalid
 */
export function highestFirst<T>(
  levels: readonly T[],
  compare: (a: T, b: T) => number,
): readonly T[] {
  // As Intel sends them.
  if (isDescending(levels, compare)) return levels;
  const sorted = levels.toSorted(compare);
  if (isDescending(sorted, compare)) return sorted;
  throw wrongMember("tcbLevels", "levels of different SVNs");
}

function isDescending<T>(levels: readonly T[], compare: (a: T, b: T) => number): boolean {
  return levels.every((level, index) => {
    const next = levels[index + 1];
    return next === undefined || compare(level, next) < 0;
  });
}

function readEnclaveTcb(json: JsonReader, max: number): { readonly isvsvn: number } {
  let isvsvn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("isvsvn")) isvsvn = json.valueInDigits();
    else json.skip();
  }
  return { isvsvn: readUnsigned(isvsvn, max, "isvsvn") };
}
