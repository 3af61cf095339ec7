import { setTimeout as sleep } from "node:timers/promises";
import { isPpmlError } from "../../base/index.ts";
import type { AzureSection } from "../../provision/index.ts";

/** How long is waited for a fresh role to be known, in steps. */
const ROLE_WAITS_MS = [5_000, 10_000, 20_000, 30_000];

/** Whether the section gives roles to who runs this, and whether that was just now. */
export type Freshness = {
  readonly section: AzureSection;
  /** Whether roles were given just now: then a service may not know of them yet. */
  readonly isFresh: boolean;
};

/** Tries again while a role that was given just now is not known yet. */
export async function whenAllowed<T>(of: Freshness, call: () => Promise<T>): Promise<T> {
  const waits = of.isFresh && of.section.operators.length > 0 ? ROLE_WAITS_MS : [];
  for (const waitMs of waits) {
    try {
      return await call();
    } catch (error) {
      if (!isForbidden(error)) throw error;
      await sleep(waitMs);
    }
  }
  return await call();
}

function isForbidden(error: unknown): boolean {
  if (isPpmlError(error, "azure.denied")) return true;
  return error instanceof Error && "statusCode" in error && error.statusCode === 403;
}
