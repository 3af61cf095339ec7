import type { JsonReader } from "./json-reader.ts";
import {
  highestFirst,
  nextAdvisoryIds,
  nextList,
  readOneOf,
  readTime,
  readUnsigned,
  wrongMember,
} from "./members.ts";

/** What one enclave or module has to reach for a level; times in milliseconds. */
export type EnclaveTcbLevel<Status extends string> = {
  readonly tcb: { readonly isvsvn: number };
  readonly tcbDate: number;
  readonly tcbStatus: Status;
  readonly advisoryIDs: readonly string[];
};

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
  const read = (level: JsonReader): EnclaveTcbLevel<Status> => readLevel(level, options);
  const levels = nextList(json, { name: "tcbLevels", min: 1, max: 100, read });
  return highestFirst(levels, (a, b) => b.tcb.isvsvn - a.tcb.isvsvn);
}

function readLevel<Status extends string>(
  json: JsonReader,
  options: { readonly statuses: readonly Status[]; readonly maxIsvSvn: number },
): EnclaveTcbLevel<Status> {
  let tcb: EnclaveTcbLevel<Status>["tcb"] | undefined;
  let date: unknown;
  let status: unknown;
  let advisoryIDs: readonly string[] = [];
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("tcb")) tcb = readTcb(json, options.maxIsvSvn);
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

function readTcb(json: JsonReader, max: number): { readonly isvsvn: number } {
  let isvsvn: unknown;
  json.enterObject();
  while (json.nextMember()) {
    if (json.isNamed("isvsvn")) isvsvn = json.valueInDigits();
    else json.skip();
  }
  return { isvsvn: readUnsigned(isvsvn, max, "isvsvn") };
}
