import type { Clock } from "../base/index.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { Vault } from "../key/vault.ts";
import type { CertifiedReleaseKey } from "../release/seal-grant.ts";
import type { BrokerDatabase } from "./database.ts";
import type { LogStore } from "./log-store.ts";
import type { RandomSource } from "./nonces.ts";

/** Everything that the routes work with: no globals, no clock and no randomness of their own. */
export type BrokerState = {
  readonly db: BrokerDatabase;
  readonly log: LogStore;
  /** Signs log heads, release receipts and events. */
  readonly logKey: SigningKey;
  readonly releaseKey: CertifiedReleaseKey;
  /** Of the same mode as the database: `openBrokerState` refuses any other. */
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomSource;
};
