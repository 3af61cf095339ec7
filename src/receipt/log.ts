import { equalBytes, fromHex, PpmlError } from "../base/index.ts";
import { leafHash, merkleRootOfHashes } from "../format/merkle.ts";
import { logHeadSchema } from "../format/protocol.ts";
import type { LogHead } from "../format/protocol.ts";
import { logLeafOf } from "../format/receipt.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";

/** What `verifyLog` found, and the sentence about what no log without witnesses can show. */
export type LogReport = {
  readonly size: number;
  readonly head: LogHead;
  /** Size of the earlier head that the log still begins with; null where none was given. */
  readonly since: number | null;
  readonly doesNotProve: readonly string[];
};

/** A log without witnesses says this of itself. */
export const EQUIVOCATION =
  "equivocation not excluded: this log has no witnesses, so its keeper could show others another one";

/**
 * Verifies a log from its first entry on: that `head` is signed by the pinned key and is the root
 * of exactly these entries, and that the log still begins with what `since` (an earlier head) saw.
 * @throws receipt.log where it was cut or rewritten, or a head is not signed by the key
 * @see RFC 9162 section 2.1; docs/protocol.md "Log"
 */
export function verifyLog(options: {
  readonly entries: readonly Envelope[];
  readonly head: Envelope;
  readonly since: Envelope | null;
  readonly logKey: EcPublicJwk;
}): LogReport {
  const { entries, logKey } = options;
  const head = verifyLogHead(options.head, logKey);
  const hashes = entries.map((entry) => leafHash(logLeafOf(entry)));
  requireRoot(hashes, head, "head");
  const since = options.since === null ? null : verifyLogHead(options.since, logKey);
  if (since !== null) {
    if (since.mode !== head.mode)
      throw new PpmlError(
        "receipt.log",
        `the earlier head is of a log for ${since.mode}, this one is for ${head.mode}`,
      );
    if (since.size > head.size)
      throw new PpmlError(
        "receipt.log",
        `the log was cut: it had ${since.size} entries on ${since.time} and has ${head.size} now`,
        { detail: { had: since.size, has: head.size } },
      );
    requireRoot(hashes.slice(0, since.size), since, `head of ${since.time}`);
  }
  return { size: head.size, head, since: since?.size ?? null, doesNotProve: [EQUIVOCATION] };
}

/** Verifies a signed log head. @throws receipt.log */
export function verifyLogHead(envelope: Envelope, logKey: EcPublicJwk): LogHead {
  try {
    return verifyObject({ kind: "log-head", schema: logHeadSchema, envelope, signers: [logKey] })
      .payload;
  } catch (cause) {
    throw new PpmlError("receipt.log", "the log's head is not signed by the pinned log key", {
      cause,
    });
  }
}

function requireRoot(hashes: readonly Uint8Array[], head: LogHead, what: string): void {
  if (hashes.length !== head.size)
    throw new PpmlError(
      "receipt.log",
      `the log's ${what} is over ${head.size} entries, ${hashes.length} are here: entries are missing or were added`,
      { detail: { expected: head.size, actual: hashes.length } },
    );
  if (!equalBytes(merkleRootOfHashes(hashes), fromHex(head.root)))
    throw new PpmlError(
      "receipt.log",
      `the log's entries are not those of its ${what}: at least one of them was rewritten`,
    );
}
