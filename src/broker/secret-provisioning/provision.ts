import {
  isPpmlError,
  PpmlError,
  Secret,
  sha256,
  toBase64Url,
  toHex,
  utf8,
} from "../../base/index.ts";
import type { RaTlsEvidence } from "../../attest/evidence/ra-tls.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { guestKeyId } from "../../release/guest-binding.ts";
import type { GuestBinding } from "../../release/guest-binding.ts";
import type { BrokerState } from "../broker-state.ts";
import { logGuestDecision } from "../rcar/rcar-log.ts";
import { releaseResource } from "../rcar/release-resource.ts";
import type { AttestedGuest } from "../rcar/sessions.ts";
import { evidenceRoots, verifyFor } from "../verify-evidence.ts";
import { MAX_SECRET_BYTES } from "./messages.ts";

const PURPOSE = "resource for a Gramine client";

/**
 * Decides whether a client of Gramine's secret provisioning gets a resource, as for any guest, and
 * gives its content; the caller disposes it. Grant and refusal are entries of the log before.
 * The quote binds the key of the client's certificate, which its connection proved: there is no nonce.
 * @throws attest.* release.* key.*, broker.invalid_request for a content that Gramine does not take
 * @see docs/protocol.md section "Secret provisioning"
 */
export async function provisionSecret(
  state: BrokerState,
  request: { readonly evidence: RaTlsEvidence; readonly path: string },
): Promise<Secret> {
  const { evidence, path } = request;
  const guest = await verifyClient(state, { evidence, path });
  let copy: Secret | null = null;
  try {
    return await releaseResource(state, {
      guest,
      path,
      purpose: PURPOSE,
      deliver: (_decision, content) => {
        if (content.byteLength > MAX_SECRET_BYTES)
          throw new PpmlError(
            "broker.invalid_request",
            `expected a secret of at most ${MAX_SECRET_BYTES} bytes in ${path}, got ${content.byteLength}`,
          );
        copy = content.expose((bytes) => Secret.copy(bytes));
        return copy;
      },
    });
  } catch (error) {
    // Made before the entry was: nobody gets it.
    disposeOf(copy);
    throw error;
  }
}

/** Evidence that does not verify is a refusal of the resource. */
async function verifyClient(
  state: BrokerState,
  request: { readonly evidence: RaTlsEvidence; readonly path: string },
): Promise<AttestedGuest> {
  const { path } = request;
  const { tee, quote, reportData, publicKeySha256 } = request.evidence;
  const { identity } = state.db;
  const binding: GuestBinding = { kind: "ra-tls", reportData, publicKeySha256 };
  const evidenceDigest = toHex(sha256(quote));
  // A quote does not say that it is simulated; its chain does, and a simulation takes no other.
  const type = identity.mode === "simulation" ? `sim-${tee}` : tee;
  const wire: WireEvidence = { type, evidence: toBase64Url(quote), collateral: {} };
  try {
    const evidence = await verifyFor(
      evidenceRoots(state),
      await state.complete(wire),
      state.clock(),
    );
    return { tee: type, evidence, evidenceDigest, binding };
  } catch (error) {
    if (isPpmlError(error))
      await logGuestDecision(state, {
        request: { kind: "resource", digest: toHex(sha256(utf8(path))) },
        name: path,
        purpose: PURPOSE,
        evidenceDigest,
        encryptionKey: guestKeyId(binding),
        kekId: null,
        policy: null,
        result: null,
        refusal: error,
      });
    throw error;
  }
}

function disposeOf(secret: Secret | null): void {
  secret?.[Symbol.dispose]();
}
