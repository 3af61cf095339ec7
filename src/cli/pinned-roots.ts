import { join } from "node:path";
import { z } from "zod";
import { maaPinShape, parseMaaJwks } from "../attest/index.ts";
import type { MaaProvider } from "../attest/index.ts";
import { fromBase64Url, readBoundedFile } from "../base/index.ts";
import { encodeJcs, parseJson } from "../format/jcs.ts";
import { modeSchema } from "../format/kek.ts";
import { base64UrlSchema, ecPublicJwkSchema, parseWith } from "../format/schema.ts";
import type { Project } from "./config/load.ts";

/** The file that pins a project's public keys: all that verifying a receipt needs. */
export const ROOTS_FILE = "roots.json";

const MAX_ROOTS_BYTES = 1024 * 1024;

const rootsSchema = z.strictObject({
  v: z.literal(1),
  mode: modeSchema,
  owner: ecPublicJwkSchema,
  releaseRoot: ecPublicJwkSchema,
  logKey: ecPublicJwkSchema,
  /** DER of the simulated platform's root, base64url; null in production. */
  simulationRoot: base64UrlSchema.max(100_000).nullable(),
  /** Providers of MAA, by which receipts whose Evidence is a token are verified; added by hand. */
  maaProviders: z
    .array(
      z.strictObject({
        ...maaPinShape,
        /** The answers of ISSUER/certs, all keys of all times that receipts are from. */
        jwks: z.looseObject({ keys: z.array(z.unknown()).max(100) }),
      }),
    )
    .max(20)
    .optional(),
});
export type PinnedRoots = z.infer<typeof rootsSchema>;

/** The roots as their file's text. */
export function rootsText(roots: PinnedRoots): string {
  return `${JSON.stringify(roots, null, 2)}\n`;
}

/** Reads a file of pinned roots. @throws config.invalid */
export async function loadRoots(path: string): Promise<PinnedRoots> {
  const bytes = await readBoundedFile(path, {
    what: `the pinned roots ${path}`,
    maxBytes: MAX_ROOTS_BYTES,
    code: "config.invalid",
    remedy: "`ppml init` writes them: restore the file",
  });
  return parseWith(rootsSchema, parseJson(bytes, path), { what: path, code: "config.invalid" });
}

/** The roots of a project. */
export async function projectRoots(project: Project): Promise<PinnedRoots> {
  return loadRoots(join(project.root, ROOTS_FILE));
}

/** The simulation root in DER, or null. */
export function simulationRootOf(roots: PinnedRoots): Uint8Array | null {
  return roots.simulationRoot === null ? null : fromBase64Url(roots.simulationRoot);
}

/** The pinned providers of MAA. @throws attest.invalid for keys of another form */
export function maaProvidersOf(roots: PinnedRoots): readonly MaaProvider[] {
  return (roots.maaProviders ?? []).map(({ issuer, policy, jwks }) => ({
    issuer,
    policy: policy === "shared-provider" ? policy : { hashes: policy },
    jwks: parseMaaJwks(encodeJcs(jwks)),
  }));
}
