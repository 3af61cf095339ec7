import { constants, createPrivateKey, createPublicKey, privateDecrypt } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { z } from "zod";
import { fromBase64Url, isPpmlError, PpmlError, Secret, sha256, toHex } from "../../base/index.ts";
import { requestBytes } from "../../attest/collateral/http.ts";
import type { HttpPorts } from "../../attest/collateral/http.ts";
import type { Attester } from "../../attest/collect/attester.ts";
import { verifySkrAnswer } from "../../attest/verify/skr-answer.ts";
import { encodeJcs, parseJson } from "../../format/jcs.ts";
import type { WrappedLocalKey } from "../../format/kek.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseWith } from "../../format/schema.ts";
import { parseKeyHsm, unwrapKeyHsm } from "../../format/skr/key-hsm.ts";
import { kekReportData } from "../../format/skr/release-key.ts";
import type { KekRuntimeData } from "../../format/skr/release-key.ts";
import { kekRuntimeDataOf } from "./kek-keys.ts";
import type { KekTeeKeys } from "./kek-keys.ts";
import { requestMaaToken } from "./maa-token.ts";

const API_VERSION = "7.4";
const WRAP = "RSA_AES_KEY_WRAP_384";
const LOCAL_KEY_BYTES = 32;
const MAX_ANSWER_BYTES = 256 * 1024;
const KEY_URL = /^https:\/\/([a-z0-9.-]{1,200})\/keys\/[0-9A-Za-z-]{1,127}$/;
const answerSchema = z.object({ value: z.string().min(1).max(MAX_ANSWER_BYTES) });

/** What a TEE needs to be given a KEK without a broker. */
export type DirectRelease = {
  readonly attester: Attester;
  readonly keys: KekTeeKeys;
  /** 32 bytes that this TEE drew, base64url. */
  readonly nonce: string;
  readonly jobDigest: string;
  /** The provider of Azure Attestation that the KEK's policy names. */
  readonly attestation: string;
  /** For the vault, from the host: it gives the right to ask, and opens nothing by itself. */
  readonly accessToken: Secret;
  /** The vault, of the measured configuration. */
  readonly vaultHost: string;
  /** DER of the roots that the vault's certificate may lead to: of the measured configuration. */
  readonly vaultRoots: readonly Uint8Array[];
  readonly http: HttpPorts;
};

/** What the TEE attested, and with what. */
export type DirectEvidence = {
  readonly runtimeData: KekRuntimeData;
  readonly evidence: WireEvidence;
  readonly token: string;
};

/**
 * Attests for the TEE's own keys and the job, and has Azure Attestation make a token of it.
 * @throws attest.unavailable attest.unsupported attest.fetch attest.invalid
 */
export async function attestDirectly(options: DirectRelease): Promise<DirectEvidence> {
  const { attester, keys, nonce, jobDigest, attestation: endpoint, http } = options;
  const runtimeData = kekRuntimeDataOf({ keys, nonce, jobDigest });
  const bytes = encodeJcs(runtimeData);
  const evidence = await attester.attest(kekReportData(runtimeData));
  const token = await requestMaaToken({ http, endpoint, evidence, runtimeData: bytes, nonce });
  return { runtimeData, evidence, token };
}

/**
 * Has Key Vault release the version of a KEK that a wrapped key names, and checks what came: signed by
 * the vault's own certificate under a pinned root, for this key, nonce and wrap, and with the private
 * half of exactly the version that was asked for. The KeyObject is this TEE's alone.
 * @throws attest.not_verified attest.invalid attest.fetch open.not_authentic open.no_key
 * @see docs/protocol.md section "Release of a KEK"
 */
export async function releaseKekDirectly(
  options: DirectRelease,
  attested: DirectEvidence,
  wanted: Pick<WrappedLocalKey, "kekId" | "kekVersion"> & {
    /** Key Vault's own id of the version; the current one where it is not given. */
    readonly keyVersion?: string;
  },
): Promise<KeyObject> {
  const { kekId, kekVersion, keyVersion } = wanted;
  const { vaultHost } = options;
  // The access token goes to this host, and to no other.
  if (
    KEY_URL.exec(kekId)?.[1] !== vaultHost ||
    (keyVersion !== undefined && !/^[0-9a-f]{32}$/.test(keyVersion))
  )
    throw new PpmlError(
      "open.no_key",
      `expected a KEK of ${vaultHost}, came ${kekId.slice(0, 200)}: seal the data for that vault's KEKs, or run the job with a broker`,
    );
  const value = await askForRelease(options, { ...attested, kekId, keyVersion });
  const { nonce } = attested.runtimeData;
  const released = await verifySkrAnswer(value, {
    vaultHost,
    roots: options.vaultRoots,
    request: { keyUrl: kekId, wrap: WRAP, nonce },
    nowMs: options.http.now(),
  });
  using pkcs8 = unwrapKeyHsm({
    keyHsm: parseKeyHsm(released.keyHsm),
    privateKey: options.keys.encryption,
    expected: { keyId: attested.runtimeData.keys[0].kid, wrap: WRAP },
  });
  const key = privateKeyOf(pkcs8);
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const version = toHex(sha256(spki)).slice(0, 32);
  if (version !== kekVersion)
    throw new PpmlError(
      "open.no_key",
      `the vault released version ${version} of ${kekId}, and the data are sealed for ${kekVersion}: name that version's id, or seal the data again`,
    );
  return key;
}

/**
 * Unwraps a local key with a released KEK: RSA-OAEP with SHA-256, 32 bytes.
 * @throws open.not_authentic whatever is wrong
 */
export function unwrapLocally(kek: KeyObject, { wrapped }: WrappedLocalKey): Secret {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  let bytes: Buffer | undefined;
  try {
    const ciphertext = fromBase64Url(wrapped);
    // RFC 8017 7.1.2 step 1.b: OpenSSL adds zeros in front of a shorter one.
    if (ciphertext.byteLength * 8 === kek.asymmetricKeyDetails?.modulusLength) {
      bytes = privateDecrypt({ key: kek, padding, oaepHash: "sha256" }, ciphertext);
      if (bytes.byteLength === LOCAL_KEY_BYTES) return Secret.copy(bytes);
    }
  } catch {
    // The cause would name the step.
  } finally {
    bytes?.fill(0);
  }
  throw new PpmlError(
    "open.not_authentic",
    "a wrapped local key does not open with the KEK that it names: it was changed, or wrapped for another",
  );
}

async function askForRelease(
  { http, accessToken }: DirectRelease,
  asked: DirectEvidence & { readonly kekId: string; readonly keyVersion: string | undefined },
): Promise<string> {
  const { kekId, keyVersion, token, runtimeData } = asked;
  const place = keyVersion === undefined ? kekId : `${kekId}/${keyVersion}`;
  const what = `the release of ${kekId}`;
  try {
    const answer = await requestBytes(http, {
      url: `${place}/release?api-version=${API_VERSION}`,
      what,
      maxBytes: MAX_ANSWER_BYTES,
      headers: {
        authorization: accessToken.expose((bytes) => `Bearer ${Buffer.from(bytes).toString()}`),
      },
      advice: "see that the vault and the way to it answer, and run the job again",
      json: { target: token, nonce: runtimeData.nonce, enc: WRAP },
    });
    return parseWith(answerSchema, parseJson(answer.body, what), { what, code: "attest.invalid" })
      .value;
  } catch (cause) {
    if (!isPpmlError(cause, "attest.fetch") || cause.detail["status"] !== 403) throw cause;
    throw new PpmlError(
      "release.denied",
      `Key Vault refuses ${what}: what this TEE is does not meet the KEK's release policy, the KEK or this version of it is disabled, or the identity of the access token lacks the role Key Vault Crypto Service Release User`,
      { cause },
    );
  }
}

function privateKeyOf(pkcs8: Secret): KeyObject {
  try {
    return pkcs8.expose((bytes) =>
      createPrivateKey({
        key: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        format: "der",
        type: "pkcs8",
      }),
    );
  } catch (cause) {
    throw new PpmlError("open.no_key", "what the vault released is no private key", { cause });
  }
}
