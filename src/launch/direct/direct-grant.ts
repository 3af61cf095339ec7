import { PpmlError } from "../../base/index.ts";
import type { Secret } from "../../base/index.ts";
import type { ManifestFloor } from "../../format/grant.ts";
import type { Job } from "../../format/job.ts";
import { jwkThumbprint } from "../../format/jwk.ts";
import type { WrappedLocalKey } from "../../format/kek.ts";
import type { EcPublicJwk } from "../../format/schema.ts";
import type { VerifiedObject } from "../../format/signed-object.ts";
import type { LocalKeys } from "../worker-services.ts";
import { attestDirectly, releaseKekDirectly, unwrapLocally } from "./release-kek.ts";
import type { DirectEvidence, DirectRelease } from "./release-kek.ts";

/** What a job works with that no broker released: there is no policy of the owner's in it. */
export type DirectGrant = Disposable & {
  readonly localKeys: LocalKeys;
  /** As the signed job says them: nobody else knows. */
  readonly floors: readonly ManifestFloor[];
  readonly attested: DirectEvidence;
};

/**
 * Gets a job's local keys without a broker: attests once, has each KEK version released once, and
 * unwraps here. What a broker would decide the launcher has to know by itself: `signers` and the vault's
 * roots are of its measured configuration, the floors of the signed job. The KEK's release policy speaks
 * of the measurement alone, so without pinned signers the host could have any query run.
 * @throws launch.job where another signed the job, or it has no floor for an input; what
 *   `attestDirectly`, `releaseKekDirectly` and `unwrapLocally` throw
 */
export async function grantDirectly(
  options: Omit<DirectRelease, "jobDigest"> & {
    readonly job: VerifiedObject<Job>;
    readonly signers: readonly EcPublicJwk[];
    /** Of the inputs' manifests, as the host brought them. */
    readonly wrapped: readonly WrappedLocalKey[];
    /** Key Vault's own id of each KEK version, from the host; the current one where there is none. */
    readonly keyVersions: Readonly<Record<string, string>>;
  },
): Promise<DirectGrant> {
  const { job, signers, wrapped, keyVersions } = options;
  const floors = requireDirectJob(job, signers);
  const release: DirectRelease = { ...options, jobDigest: job.digest };
  const attested = await attestDirectly(release);
  const localKeys = new Map<string, { readonly kekId: string; readonly key: Secret }>();
  const dispose = (): void => {
    for (const { key } of localKeys.values()) key[Symbol.dispose]();
  };
  try {
    for (const [version, keys] of Map.groupBy(wrapped, ({ kekVersion }) => kekVersion)) {
      const [{ kekId } = { kekId: "" }] = keys;
      const keyVersion = keyVersions[version];
      const kek = await releaseKekDirectly(release, attested, {
        kekId,
        kekVersion: version,
        ...(keyVersion === undefined ? {} : { keyVersion }),
      });
      for (const key of keys) {
        if (key.kekId !== kekId)
          throw new PpmlError("launch.job", "one KEK version is named under two KEKs");
        localKeys.get(key.id)?.key[Symbol.dispose]();
        localKeys.set(key.id, { kekId, key: unwrapLocally(kek, key) });
      }
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { localKeys, floors, attested, [Symbol.dispose]: dispose };
}

/** The floors of a job that runs without a broker. @throws launch.job */
export function requireDirectJob(
  job: VerifiedObject<Job>,
  signers: readonly EcPublicJwk[],
): readonly ManifestFloor[] {
  const { name, floors, inputs } = job.payload;
  if (!signers.some((signer) => jwkThumbprint(signer) === job.keyId))
    throw new PpmlError(
      "launch.job",
      `the job ${name} is signed by ${job.keyId}, whom this launcher's measured configuration does not name: without a broker nobody else approves jobs`,
    );
  const missing = inputs.find(
    ({ datasetId }) =>
      !(floors ?? []).some((floor) => floor.datasetId === datasetId && floor.minVersion > 0),
  );
  if (floors !== undefined && missing === undefined) return floors;
  throw new PpmlError(
    "launch.job",
    `the job ${name} carries no manifest floor for its input ${missing?.name ?? ""}: without a broker the signed job has to say the lowest version that may be read`,
  );
}
