import type { Envelope } from "../format/signed-object.ts";
import type { BrokerClient } from "../launch/index.ts";

/** A broker's log from an entry on, with the head that the last page came with. */
export type LogRead = { readonly entries: readonly Envelope[]; readonly head: Envelope };

/** Reads the whole log from entry `from` on, page by page. */
export async function readLog(client: BrokerClient, from: number): Promise<LogRead> {
  const entries: Envelope[] = [];
  for (;;) {
    const page = await client.log(from + entries.length);
    entries.push(...page.entries);
    if (page.entries.length === 0) return { entries, head: page.head };
  }
}
