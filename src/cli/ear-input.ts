import { createPublicKey } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import { TRUSTEE_PROFILE, VERAISON_PROFILE, verifyEar } from "../attest/index.ts";
import type { EarKey, EvidenceReport } from "../attest/index.ts";
import { fromBase64Url, fromUtf8, PpmlError, readBoundedFile } from "../base/index.ts";
import { parseJson } from "../format/jcs.ts";
import { parseWith } from "../format/schema.ts";
import type { CliContext } from "./context.ts";
import type { EvidenceFlags, EvidenceInput } from "./evidence-input.ts";

const YEAR_SECONDS = 31_536_000;
const MAX_KEYS_BYTES = 1024 * 1024;
const ALGORITHMS = { "P-256": "ES256", "P-384": "ES384" } as const;

const jwkSchema = z.looseObject({
  kty: z.enum(["EC", "RSA"]),
  crv: z.enum(["P-256", "P-384"]).optional(),
  x: z.string().max(100).optional(),
  y: z.string().max(100).optional(),
  n: z.string().max(2048).optional(),
  e: z.string().max(12).optional(),
});
const keysSchema = z.union([
  z.looseObject({ keys: z.array(jwkSchema).min(1).max(100) }),
  jwkSchema.transform((key) => ({ keys: [key] })),
]);

/**
 * Verifies an EAR token, another Verifier's Attestation Result, by the keys of `--collateral` (a JWK
 * or JWK Set). Its status stands among the claims; whether it is enough is not judged.
 * @throws attest.collateral attest.invalid attest.not_verified
 */
export async function reportEar(
  context: CliContext,
  input: EvidenceInput,
  flags: EvidenceFlags,
): Promise<EvidenceReport> {
  if (flags.collateral === undefined)
    throw new PpmlError(
      "attest.collateral",
      "an EAR token is another Verifier's result: give that Verifier's public key as JWK (--collateral)",
    );
  const token = fromUtf8(fromBase64Url(input.wire.evidence));
  const { ear } = await verifyEar(token, {
    keys: await loadKeys(resolve(context.cwd, flags.collateral)),
    profiles: [TRUSTEE_PROFILE, VERAISON_PROFILE],
    nonce: "by-age",
    maxAgeSeconds: YEAR_SECONDS,
    simulated: false,
    nowMs: input.nowMs,
  });
  const statuses = Object.entries(ear.submods).map(
    ([name, { status }]) => [`${name}.status`, status] as const,
  );
  return {
    verified: true,
    kind: "ear",
    simulated: ear.simulated,
    tcbStatus: null,
    advisoryIds: [],
    claims: {
      profile: ear.profile,
      verifier: `${ear.verifierId.developer} ${ear.verifierId.build}`,
      ...Object.fromEntries(statuses),
    },
    refusal: null,
    appraisal: null,
  };
}

async function loadKeys(path: string): Promise<EarKey[]> {
  const what = `the keys ${path}`;
  const options = { what, maxBytes: MAX_KEYS_BYTES, code: "attest.collateral" } as const;
  const bytes = await readBoundedFile(path, options);
  const { keys } = parseWith(keysSchema, parseJson(bytes, path), {
    what: path,
    code: "attest.collateral",
  });
  return keys.map((jwk) => ({
    algorithm: jwk.kty === "RSA" ? "RS256" : ALGORITHMS[jwk.crv ?? "P-256"],
    publicKey: keyOf(jwk, path),
  }));
}

function keyOf(jwk: z.infer<typeof jwkSchema>, path: string): EarKey["publicKey"] {
  const { kty, crv, x, y, n, e } = jwk;
  try {
    return createPublicKey({
      key:
        kty === "RSA"
          ? { kty, n: n ?? "", e: e ?? "" }
          : { kty, crv: crv ?? "", x: x ?? "", y: y ?? "" },
      format: "jwk",
    });
  } catch (cause) {
    throw new PpmlError("attest.collateral", `a key in ${path} is none`, { cause });
  }
}
