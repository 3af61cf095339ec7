import { equalBytes, PpmlError, sha256, toBase64, toHex, utf8 } from "../../base/index.ts";
import type { Evidence } from "../../attest/evidence/evidence.ts";
import type { Verified } from "../../attest/verify/verified.ts";
import type { GuestBinding } from "../../release/guest-binding.ts";
import type { RandomSource } from "../nonces.ts";

/** A guest has so long from its challenge to its Evidence. */
export const CHALLENGE_TTL_SECONDS = 120;

/** An attested guest may ask for resources for so long after its challenge. */
export const SESSION_TTL_SECONDS = 300;

/** How many sessions may be open at once; more are refused until some are over. */
export const MAX_SESSIONS = 10_000;

/** How many resources one session may ask for: each leaves an entry in the log. */
export const MAX_RESOURCES_A_SESSION = 100;

/** What a guest proved, as it was minted: a token alone never brings it back. */
export type AttestedGuest = {
  readonly tee: string;
  readonly evidence: Verified<Evidence>;
  /** SHA-256 of the Evidence's bytes, hex. */
  readonly evidenceDigest: string;
  readonly binding: GuestBinding;
};

type Session = {
  readonly tee: string;
  readonly nonce: string;
  readonly createdMs: number;
  state:
    | { readonly kind: "challenged" }
    /** The nonce is spent; whatever becomes of the Evidence, no other is taken. */
    | { readonly kind: "spent" }
    | { readonly kind: "attested"; readonly guest: AttestedGuest; readonly tokenId: string };
  asked: number;
};

/** A session's challenge was answered: what it was. */
export type SpentChallenge = { readonly tee: string; readonly nonce: string };

/**
 * The sessions of CoCo's guests. Each takes one Evidence, is short-lived, and lives in memory: a nonce
 * of a process that ended is good for nothing.
 */
export class RcarSessions {
  readonly #sessions = new Map<string, Session>();
  /** Attested sessions by their token's SHA-256, hex. */
  readonly #tokens = new Map<string, string>();

  /** How many sessions are kept. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Opens a session: its id for the cookie (64 hex digits), and a nonce of 32 bytes in base64.
   * @throws broker.busy where too many are open
   */
  open(options: { readonly tee: string; readonly nowMs: number; readonly random: RandomSource }): {
    readonly id: string;
    readonly nonce: string;
  } {
    const { tee, nowMs, random } = options;
    this.#sweep(nowMs);
    if (this.#sessions.size >= MAX_SESSIONS)
      throw new PpmlError(
        "broker.busy",
        `${MAX_SESSIONS} guests' sessions are open: try again in ${CHALLENGE_TTL_SECONDS} seconds`,
      );
    const id = toHex(random(32));
    const nonce = toBase64(random(32));
    this.#sessions.set(id, {
      tee,
      nonce,
      createdMs: nowMs,
      state: { kind: "challenged" },
      asked: 0,
    });
    return { id, nonce };
  }

  /**
   * Spends a session's nonce, before anything else is looked at: only one answer is ever verified.
   * @throws broker.session where it is unknown, over or answered; release.nonce for another nonce
   */
  spend(id: string, nonce: string, nowMs: number): SpentChallenge {
    const session = this.#live(id, nowMs);
    if (session.state.kind !== "challenged")
      throw new PpmlError(
        "broker.session",
        "the session's challenge was answered already: begin with /kbs/v0/auth again",
      );
    // Another session's nonce is not this one's answer, and spends nothing.
    if (!equalBytes(utf8(session.nonce), utf8(nonce)))
      throw new PpmlError("release.nonce", "the nonce is not the one of this session's challenge");
    session.state = { kind: "spent" };
    return { tee: session.tee, nonce: session.nonce };
  }

  /** Notes what the session's guest proved, and the token that it got. */
  attested(id: string, guest: AttestedGuest, token: string): void {
    const session = this.#sessions.get(id);
    // It may have ended while the Evidence was verified: then the token brings nothing.
    if (session?.state.kind !== "spent") return;
    const tokenId = toHex(sha256(utf8(token)));
    session.state = { kind: "attested", guest, tokenId };
    this.#tokens.set(tokenId, id);
  }

  /**
   * The guest of an attested session, which asks for one more resource.
   * @throws broker.session where there is none, it is over, did not attest or asked too often
   */
  guestOf(id: string, nowMs: number): AttestedGuest {
    const session = this.#live(id, nowMs);
    if (session.state.kind !== "attested")
      throw new PpmlError("broker.session", "the session has no accepted Evidence: attest first");
    session.asked += 1;
    if (session.asked > MAX_RESOURCES_A_SESSION)
      throw new PpmlError(
        "broker.session",
        `the session asked for more than ${MAX_RESOURCES_A_SESSION} resources: attest again`,
      );
    return session.state.guest;
  }

  /** The session of a token that was given here; null where it is not held. */
  idOfToken(token: string): string | null {
    return this.#tokens.get(toHex(sha256(utf8(token)))) ?? null;
  }

  #live(id: string, nowMs: number): Session {
    const session = this.#sessions.get(id);
    if (session === undefined || isOver(session, nowMs))
      throw new PpmlError(
        "broker.session",
        "the session is unknown or over: begin with /kbs/v0/auth again",
      );
    return session;
  }

  /** Sessions stand in the order of their beginning, so the old ones come first. */
  #sweep(nowMs: number): void {
    for (const [id, session] of this.#sessions) {
      if (isOver(session, nowMs)) {
        if (session.state.kind === "attested") this.#tokens.delete(session.state.tokenId);
        this.#sessions.delete(id);
      } else if (nowMs < session.createdMs + CHALLENGE_TTL_SECONDS * 1000) return;
    }
  }
}

function isOver({ state, createdMs }: Session, nowMs: number): boolean {
  const seconds = state.kind === "attested" ? SESSION_TTL_SECONDS : CHALLENGE_TTL_SECONDS;
  // Written so that a NaN is over; a clock that was set back ends no session early.
  return !(nowMs < createdMs + seconds * 1000);
}
