import { fromHex, PpmlError, unreachable } from "../base/index.ts";
import { verifyInclusion } from "../format/merkle.ts";
import {
  EVENT_PREDICATE,
  logLeafOf,
  receiptFileSchema,
  receiptSchema,
  RELEASE_PREDICATE,
  RESULT_PREDICATE,
} from "../format/receipt.ts";
import type { EventReceipt, Receipt, ReceiptFile, ReleaseReceipt } from "../format/receipt.ts";
import { parseWith } from "../format/schema.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { peekObject, verifyObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { EQUIVOCATION, verifyLogHead } from "./log.ts";
import type { ReceiptRoots } from "./receipt-roots.ts";
import { CheckList } from "./report.ts";
import type { ReceiptReport } from "./report.ts";
import { checkResult } from "./check-result.ts";

const NOT_LOGGED =
  "that nothing else was done: the receipt is in no log here, so that others may be withheld";
const BROKER_ONLY =
  "a broker's signature proves what the broker decided and wrote down, not what any code then did";

/**
 * Parses a receipt's file from JSON data.
 * @throws receipt.invalid
 */
export function parseReceiptFile(value: unknown): ReceiptFile {
  return parseWith(receiptFileSchema, value, { what: "receipt file", code: "receipt.invalid" });
}

/**
 * Verifies a receipt offline, from pinned roots alone. `nowMs`: milliseconds since 1970, for times
 * that lie in the future.
 * @throws receipt.invalid where the file is no receipt at all
 * @see docs/protocol.md "Receipts"
 */
export async function verifyReceiptFile(options: {
  readonly file: ReceiptFile;
  readonly roots: ReceiptRoots;
  readonly nowMs: number;
}): Promise<ReceiptReport> {
  const { file, roots, nowMs } = options;
  const receipt = readReceipt(file.receipt);
  const list = new CheckList();
  switch (receipt.predicateType) {
    case RESULT_PREDICATE: {
      const doesNotProve = await checkResult(list, {
        receipt,
        envelope: file.receipt,
        roots,
        nowMs,
      });
      checkInclusion(list, { file, logKey: roots.logKey, mode: receipt.predicate.mode });
      const { simulated } = receipt.predicate;
      const isLogged = file.inclusion !== null;
      return report("result", { receipt, list, simulated, doesNotProve, isLogged });
    }
    case RELEASE_PREDICATE:
      return reportOfBroker("release", { receipt, list, file, roots });
    case EVENT_PREDICATE:
      return reportOfBroker("event", { receipt, list, file, roots });
    default:
      return unreachable(receipt);
  }
}

function reportOfBroker(
  kind: "release" | "event",
  context: {
    readonly receipt: ReleaseReceipt | EventReceipt;
    readonly list: CheckList;
    readonly file: ReceiptFile;
    readonly roots: ReceiptRoots;
  },
): ReceiptReport {
  const { receipt, list, file, roots } = context;
  const { mode } = receipt.predicate;
  const { logKey } = roots;
  if (logKey === null) list.skip("signature", "no log key is pinned, so nobody vouches for it");
  else
    list.run("signature", () => {
      const signers = [logKey];
      const envelope = file.receipt;
      verifyObject({ kind: "receipt", schema: receiptSchema, envelope, signers });
      return { value: null, detail: "signed by the pinned log key of the broker" };
    });
  checkInclusion(list, { file, logKey, mode });
  const simulated = mode === "simulation";
  const isLogged = file.inclusion !== null;
  return report(kind, { receipt, list, simulated, doesNotProve: [BROKER_ONLY], isLogged });
}

function checkInclusion(
  list: CheckList,
  context: {
    readonly file: ReceiptFile;
    readonly logKey: EcPublicJwk | null;
    readonly mode: string;
  },
): void {
  const { logKey, mode } = context;
  const { inclusion, receipt } = context.file;
  if (inclusion === null) return list.skip("log", "the file holds no place in a log");
  if (logKey === null) return list.skip("log", "no log key is pinned");
  list.run("log", () => {
    const head = verifyLogHead(inclusion.head, logKey);
    if (head.mode !== mode)
      throw new PpmlError("receipt.log", `the log is for ${head.mode}, the receipt for ${mode}`);
    verifyInclusion({
      leaf: logLeafOf(receipt),
      index: inclusion.index,
      size: head.size,
      proof: inclusion.hashes.map((hash) => fromHex(hash)),
      root: fromHex(head.root),
    });
    const detail = `entry ${inclusion.index} of the ${head.size} that the log had on ${head.time}`;
    return { value: null, detail };
  });
}

function readReceipt(envelope: Envelope): Receipt {
  try {
    return peekObject({ kind: "receipt", schema: receiptSchema, envelope }).payload;
  } catch (cause) {
    throw new PpmlError("receipt.invalid", "the envelope does not hold a receipt", { cause });
  }
}

function report(
  kind: ReceiptReport["kind"],
  found: {
    readonly receipt: Receipt;
    readonly list: CheckList;
    readonly simulated: boolean;
    readonly doesNotProve: readonly string[];
    readonly isLogged: boolean;
  },
): ReceiptReport {
  const { receipt, list, simulated, isLogged } = found;
  const doesNotProve = [
    ...(simulated ? ["SIMULATED: no hardware stands behind this receipt"] : []),
    ...found.doesNotProve,
    isLogged ? EQUIVOCATION : NOT_LOGGED,
  ];
  const { accepted, checks } = list;
  return { kind, receipt, accepted, simulated, checks, doesNotProve };
}
