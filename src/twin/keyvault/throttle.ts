import type { Clock } from "../../base/index.ts";
import type { Instance } from "./instance.ts";
import { KeyVaultRefusal } from "./refusal.ts";

const WINDOW_MS = 10_000;

/** What a call counts as: each class has a limit of its own, per vault and ten seconds. */
export type LimitClass =
  | "hsm-create"
  | "software-create"
  | `${"hsm" | "software"}-${2048 | 3072 | 4096}`
  | "secret-create"
  | "other";

/** @see learn.microsoft.com/azure/key-vault/general/service-limits */
const LIMITS: Readonly<Record<LimitClass, number>> = {
  "hsm-create": 10,
  "software-create": 20,
  "hsm-2048": 2000,
  "hsm-3072": 500,
  "hsm-4096": 250,
  "software-2048": 4000,
  "software-3072": 1000,
  "software-4096": 500,
  "secret-create": 300,
  other: 4000,
};

/** Counts calls. A Managed HSM's limits are the hardware's own and are not counted. */
export type Throttle = (instance: Instance, limit: LimitClass) => void;

/** Makes a counter; each of its calls counts one, or throws KeyVaultRefusal 429 with Retry-After. */
export function createThrottle(
  clock: Clock,
  limits: Partial<Readonly<Record<LimitClass, number>>> = {},
): Throttle {
  const windows = new Map<string, { readonly startMs: number; count: number }>();
  return (instance, limit) => {
    if (instance.kind === "hsm") return;
    const nowMs = clock();
    const id = `${instance.host} ${limit}`;
    const known = windows.get(id);
    const window =
      known === undefined || nowMs >= known.startMs + WINDOW_MS || nowMs < known.startMs
        ? { startMs: nowMs, count: 0 }
        : known;
    windows.set(id, window);
    if (window.count >= (limits[limit] ?? LIMITS[limit]))
      throw new KeyVaultRefusal(429, "Throttled", {
        message:
          "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        headers: {
          "retry-after": String(Math.ceil((window.startMs + WINDOW_MS - nowMs) / 1000)),
        },
      });
    window.count += 1;
  };
}
