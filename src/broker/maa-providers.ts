import { z } from "zod";
import { openCollateralCache } from "../attest/collateral/cache.ts";
import { COLLATERAL_MAX_AGE_MS } from "../attest/collateral/fetch-part.ts";
import type { HttpPorts } from "../attest/collateral/http.ts";
import { createMaaJwksSource, loadMaaJwksFile } from "../attest/collateral/maa-jwks.ts";
import { peekMaaToken } from "../attest/verify/maa-check.ts";
import type { MaaJwks } from "../attest/verify/maa-jwks.ts";
import { maaPinShape } from "../attest/verify/maa-providers.ts";
import { maaTokenOf } from "../attest/verify/verify.ts";
import type { MaaProvidersFor } from "./broker-state.ts";

/** A provider of MAA that a broker trusts, and where its keys come from. */
export const maaSettingSchema = z.strictObject({
  ...maaPinShape,
  keys: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("file"), path: z.string().min(1).max(4096) }),
    z.strictObject({ kind: z.literal("fetch"), cacheFolder: z.string().min(1).max(4096) }),
  ]),
});
export type MaaSetting = z.infer<typeof maaSettingSchema>;

type KeySource = (keyId: string | null) => Promise<MaaJwks>;

/** A broker that trusts no provider: it takes no token. */
export const noMaaProviders: MaaProvidersFor = () => Promise.resolve([]);

/**
 * Opens the pinned providers: files of keys are read now, other keys are fetched from ISSUER/certs
 * when a token comes that names one. What a token says is used to choose among them, no more.
 * @throws attest.collateral attest.invalid for a file that holds no keys
 */
export async function openMaaProviders(
  settings: readonly MaaSetting[],
  ports: HttpPorts,
): Promise<MaaProvidersFor> {
  const providers = await Promise.all(
    settings.map(async (setting) => ({ setting, keys: await keySourceOf(setting, ports) })),
  );
  return async (wire) => {
    if (wire.type !== "maa") return [];
    const { issuer, keyId } = peekMaaToken(maaTokenOf(wire));
    // All of that issuer: one that is pinned twice is refused by who verifies.
    const meant = providers.filter(({ setting }) => setting.issuer === issuer);
    return Promise.all(
      meant.map(async ({ setting: { policy }, keys }) => ({
        issuer,
        policy: policy === "shared-provider" ? policy : { hashes: policy },
        jwks: await keys(keyId),
      })),
    );
  };
}

async function keySourceOf({ issuer, keys }: MaaSetting, ports: HttpPorts): Promise<KeySource> {
  if (keys.kind === "file") {
    const jwks = await loadMaaJwksFile(keys.path);
    return () => Promise.resolve(jwks);
  }
  const source = createMaaJwksSource({
    issuers: [issuer],
    cache: openCollateralCache({ directory: keys.cacheFolder, now: ports.now }),
    maxAgeMs: COLLATERAL_MAX_AGE_MS,
    ports,
  });
  return (keyId) => source.load(issuer, keyId);
}
