import type { SigningKey } from "../format/jwk.ts";
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
import { parseWith } from "../format/schema.ts";
import { signObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";

/** A result's statement; its subject is the output's manifest. @see in-toto Statement v1 */
export function makeResultReceipt(predicate: ResultPredicate): Receipt {
  const { name, manifestDigest } = predicate.output;
  return statementOf(RESULT_PREDICATE, {
    subject: { name, sha256: manifestDigest },
    predicate,
  });
}

/** A release's statement; its subject is the job, the owner's request, the resource or the guest's runtime data. @see in-toto Statement v1 */
export function makeReleaseReceipt(predicate: ReleasePredicate): Receipt {
  return statementOf(RELEASE_PREDICATE, {
    subject: { name: predicate.name, sha256: predicate.request.digest },
    predicate,
  });
}

/** An event's statement; its subject is the policy, the manifest or the resource. @see in-toto Statement v1 */
export function makeEventReceipt(predicate: EventPredicate): Receipt {
  const { event } = predicate;
  const sha256 = event.kind === "floor-raised" ? event.manifestDigest : event.digest;
  return statementOf(EVENT_PREDICATE, { subject: { name: event.name, sha256 }, predicate });
}

/** Signs a receipt: a result's with the TEE's signing key, a broker's with its log key. */
export function signReceipt(receipt: Receipt, key: SigningKey): Envelope {
  return signObject("receipt", receipt, key);
}

function statementOf(
  predicateType: string,
  content: {
    readonly subject: { readonly name: string; readonly sha256: string };
    readonly predicate: unknown;
  },
): Receipt {
  const { name, sha256 } = content.subject;
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: { sha256 } }],
    predicateType,
    predicate: content.predicate,
  };
  return parseWith(receiptSchema, statement, { what: "receipt" });
}
