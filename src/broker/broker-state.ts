import type { Clock } from "../base/index.ts";
import type { MaaProvider } from "../attest/verify/maa-providers.ts";
import type { WireEvidence } from "../format/protocol.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { Vault } from "../key/vault.ts";
import type { CertifiedReleaseKey } from "../release/seal-grant.ts";
import type { BrokerDatabase } from "./database.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { LogStore } from "./log-store.ts";
import type { RcarSessions } from "./rcar/sessions.ts";
import type { RandomSource } from "./nonces.ts";

/**
 * Adds the collateral that verifying Evidence takes and that did not come with it.
 * Rejects with attest.collateral, attest.fetch, attest.invalid, attest.unsupported.
 */
export type CompleteEvidence = (wire: WireEvidence) => Promise<WireEvidence>;

/**
 * The pinned providers of MAA that a token may be of, with their keys; none for other Evidence.
 * Rejects with attest.collateral, attest.fetch, attest.invalid.
 */
export type MaaProvidersFor = (wire: WireEvidence) => Promise<readonly MaaProvider[]>;

/** Everything that the routes work with: no globals, no clock and no randomness of their own. */
export type BrokerState = {
  readonly db: BrokerDatabase;
  readonly log: LogStore;
  /** Appends decisions about guests to `log`, many in one transaction. */
  readonly commits: CommitQueue;
  /** Signs log heads, release receipts and events. */
  readonly logKey: SigningKey;
  /** Signs EAR tokens, and nothing else. */
  readonly earKey: SigningKey;
  readonly releaseKey: CertifiedReleaseKey;
  /** Guests between /kbs/v0/auth and their resources: in memory, gone with the process. */
  readonly sessions: RcarSessions;
  readonly complete: CompleteEvidence;
  readonly maaProviders: MaaProvidersFor;
  /** Of the same mode as the database: `openBrokerState` refuses any other. */
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomSource;
};
