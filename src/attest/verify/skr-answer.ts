import { compactVerify } from "jose/jws/compact/verify";
import { z } from "zod";
import { fromBase64, PpmlError } from "../../base/index.ts";
import { parseWith } from "../../format/schema.ts";
import type { KeyHsmWrap } from "../../format/skr/key-hsm.ts";
import { parseCompactJws } from "../token/compact-jws.ts";
import { verifyHostChain } from "../x509/host-chain.ts";

const headerSchema = z.strictObject({
  alg: z.literal("RS256"),
  typ: z.string().max(20).optional(),
  kid: z.string().max(300).optional(),
  x5t: z.string().max(100).optional(),
  "x5t#S256": z.string().max(100).optional(),
  x5c: z.array(z.string().max(20_000)).min(1).max(6),
});

/** Loose: Key Vault's other attributes are not read. */
const answerSchema = z.looseObject({
  request: z.looseObject({
    enc: z.string().max(100),
    kid: z.string().max(500),
    nonce: z.string().max(500).optional(),
  }),
  response: z.looseObject({
    key: z.looseObject({
      key: z.looseObject({
        kid: z.string().max(500),
        kty: z.enum(["RSA-HSM", "EC-HSM", "oct-HSM", "RSA", "EC", "oct"]),
        key_hsm: z.string().max(64 * 1024),
      }),
      attributes: z.looseObject({ exportable: z.literal(true) }),
    }),
  }),
});

/** A key that Key Vault released, as it signed for it; its material is still wrapped. */
export type ReleasedKey = {
  /** The key's URL with its version. */
  readonly keyUrl: string;
  readonly keyType: string;
  /** To be read by `parseKeyHsm`. */
  readonly keyHsm: string;
};

/**
 * Verifies the answer of Key Vault's Secure Key Release: a JWS by the vault's own TLS certificate,
 * under a pinned root, about this key, this wrap and this nonce.
 * @throws attest.invalid, attest.not_verified
 * @see learn.microsoft.com/rest/api/keyvault/keys/release
 */
export async function verifySkrAnswer(
  value: string,
  options: {
    /** The vault's host, such as NAME.vault.azure.net. */
    readonly vaultHost: string;
    /** DER of the roots that are trusted for the vault's certificate. */
    readonly roots: readonly Uint8Array[];
    /** What was asked: the key's URL with or without its version, the wrap, the nonce. */
    readonly request: {
      readonly keyUrl: string;
      readonly wrap: KeyHsmWrap;
      readonly nonce: string;
    };
    /** Milliseconds since 1970. */
    readonly nowMs: number;
  },
): Promise<ReleasedKey> {
  const jws = parseCompactJws(value, "the released key");
  const { x5c } = parseWith(headerSchema, jws.header, {
    what: "the header of the released key",
    code: "attest.invalid",
  });
  const publicKey = verifyHostChain({
    chain: x5c.map((text) => decode(text)),
    roots: options.roots,
    hostName: options.vaultHost,
    nowMs: options.nowMs,
  });
  try {
    await compactVerify(jws.token, publicKey, { algorithms: ["RS256"] });
  } catch (cause) {
    const message = "the released key is not signed by the vault's certificate";
    throw new PpmlError("attest.not_verified", message, { cause });
  }
  const answer = parseWith(answerSchema, jws.payload, {
    what: "the released key",
    code: "attest.invalid",
  });
  checkAsked(answer, options);
  const { kid, kty, key_hsm: keyHsm } = answer.response.key.key;
  return { keyUrl: kid, keyType: kty, keyHsm };
}

function checkAsked(
  { request, response }: z.infer<typeof answerSchema>,
  options: Parameters<typeof verifySkrAnswer>[1],
): void {
  const { keyUrl, wrap, nonce } = options.request;
  if (!keyUrl.startsWith(`https://${options.vaultHost}/keys/`))
    throw refused(`expected a key of the vault ${options.vaultHost}, got ${keyUrl.slice(0, 200)}`);
  const { kid } = response.key.key;
  const version = kid.slice(keyUrl.length);
  if (!kid.startsWith(keyUrl) || !(version === "" || /^\/[0-9a-f]{32}$/.test(version)))
    throw refused(`expected the key ${keyUrl}, got ${kid.slice(0, 200)}`);
  if (request.enc !== wrap) throw refused(`expected a key wrapped with ${wrap}`);
  if (nonce.length < 16 || request.nonce !== nonce)
    throw refused("the answer does not hold this request's nonce of 16 characters or more");
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new PpmlError("attest.invalid", "a certificate in x5c is not base64", { cause });
  }
}

function refused(message: string): PpmlError {
  return new PpmlError("attest.not_verified", message);
}
