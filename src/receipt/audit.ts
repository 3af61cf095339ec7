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
  const { decision, keyCount, keks, refusal } = release;
  const who = release.request.kind === "job" ? `job ${release.name}` : "the owner";
  const policy = release.policy === null ? "no policy in force" : `policy ${release.policy.name}`;
  const outcome =
    decision === "granted"
      ? `released ${keyCount} ${keyCount === 1 ? "key" : "keys"} of ${keks.join(", ")} to ${who}`
      : `refused ${who}: ${refusal?.code ?? "?"}: ${oneLine(refusal?.message ?? "?")}`;
  return `${release.time} ${outcome} (${policy}, purpose ${JSON.stringify(release.purpose)})${marked(release.mode === "simulation")}`;
}

function resultLine(result: ResultPredicate): string {
  const { job, output } = result;
  return `${result.finishedAt} job ${job.name} made ${output.name} version ${output.version}, ${output.rows} rows, under the keys of #${result.releaseLogIndex}${marked(result.simulated)}`;
}

function eventLine(entry: EventPredicate): string {
  const { event } = entry;
  const what =
    event.kind === "policy-applied"
      ? `policy ${event.name} version ${event.version} put in force by ${event.signer}`
      : `manifest of ${event.name} raised to version ${event.version} by ${event.by === "job" ? "an attested job" : "the owner"}`;
  return `${entry.time} ${what}${marked(entry.mode === "simulation")}`;
}

function marked(simulated: boolean): string {
  return simulated ? " [SIMULATED]" : "";
}

/** Others' text goes to a terminal: no control characters, bounded. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, 500);
}
