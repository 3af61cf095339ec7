import { unreachable } from "../base/index.ts";
import {
  EVENT_PREDICATE,
  receiptSchema,
  RELEASE_PREDICATE,
  RESULT_PREDICATE,
} from "../format/receipt.ts";
import type {
  EventPredicate,
  Receipt,
  ReleasePredicate,
  ResultPredicate,
} from "../format/receipt.ts";
import { peekObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";

/** One plain line an entry, the first with number `from`: for people who read the log. */
export function auditLines(entries: readonly Envelope[], from: number): string[] {
  return entries.map((entry, index) => `#${from + index} ${describe(entry)}`);
}

function describe(envelope: Envelope): string {
  let receipt: Receipt;
  try {
    receipt = peekObject({ kind: "receipt", schema: receiptSchema, envelope }).payload;
  } catch {
    return "unreadable entry: it does not have the form of a receipt";
  }
  switch (receipt.predicateType) {
    case RELEASE_PREDICATE:
      return releaseLine(receipt.predicate);
    case RESULT_PREDICATE:
      return resultLine(receipt.predicate);
    case EVENT_PREDICATE:
      return eventLine(receipt.predicate);
    default:
      return unreachable(receipt);
  }
}

function releaseLine(release: ReleasePredicate): string {
  const { decision, refusal } = release;
  const { who, granted } = wordsOf(release);
  const policy = release.policy === null ? "before any policy" : `policy ${release.policy.name}`;
  const outcome =
    decision === "granted"
      ? granted
      : `refused ${who}: ${refusal?.code ?? "?"}: ${oneLine(refusal?.message ?? "?")}`;
  return `${release.time} ${outcome} (${policy}, purpose ${JSON.stringify(release.purpose)})${marked(release.mode === "simulation")}`;
}

function wordsOf(release: ReleasePredicate): { readonly who: string; readonly granted: string } {
  const { name, keyCount, keks, request, encryptionKey } = release;
  const keys = `released ${keyCount} ${keyCount === 1 ? "key" : "keys"} of ${keks.join(", ")}`;
  const guest = `the guest with key ${encryptionKey}`;
  switch (request.kind) {
    case "job":
      return { who: `job ${name}`, granted: `${keys} to job ${name}` };
    case "owner":
      return { who: "the owner", granted: `${keys} to the owner` };
    case "attestation":
      return { who: guest, granted: `took the Evidence of ${guest} (${name})` };
    case "resource":
      return {
        who: `${guest} the resource ${name}`,
        granted: `released the resource ${name} to ${guest}`,
      };
    default:
      return unreachable(request.kind);
  }
}

function resultLine(result: ResultPredicate): string {
  const { job, output } = result;
  return `${result.finishedAt} job ${job.name} made ${output.name} version ${output.version}, ${output.rows} rows, ${result.releaseLogIndex === null ? "without a broker" : `under the keys of #${result.releaseLogIndex}`}${marked(result.simulated)}`;
}

function eventLine(entry: EventPredicate): string {
  return `${entry.time} ${eventWords(entry.event)}${marked(entry.mode === "simulation")}`;
}

function eventWords(event: EventPredicate["event"]): string {
  switch (event.kind) {
    case "policy-applied":
      return `policy ${event.name} version ${event.version} put in force by ${event.signer}`;
    case "floor-raised":
      return `manifest of ${event.name} raised to version ${event.version} by ${event.by === "job" ? "an attested job" : "the owner"}`;
    case "resource-changed":
      return `resource ${event.name} ${event.removed ? "removed" : "put"} as version ${event.version} by ${event.signer}`;
    default:
      return unreachable(event);
  }
}

function marked(simulated: boolean): string {
  return simulated ? " [SIMULATED]" : "";
}

/** Others' text goes to a terminal: no control characters, bounded. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, 500);
}
