import { PpmlError } from "../base/index.ts";
import type { Secret } from "../base/index.ts";
import type { KekPublicKey, WrappedLocalKey } from "../format/kek.ts";
import { makeLocalKey, wrapLocalKey } from "../key/wrap.ts";

/** The local key of one column group for one sealing: it wraps the DEKs of all its files. */
export type GroupKey = Disposable & {
  readonly name: string;
  readonly kekId: string;
  /** Top-level columns or dotted paths; null for all that no other group names. */
  readonly columns: readonly string[] | null;
  readonly localKey: Secret;
  readonly localKeyId: Uint8Array;
  readonly wrapped: WrappedLocalKey;
};

/** A column group as its owner plans it. */
export type GroupPlan = {
  readonly name: string;
  readonly columns: readonly string[] | null;
  readonly kek: KekPublicKey;
};

/** Makes a fresh local key for a group and wraps it under the group's KEK. */
export function makeGroupKey(plan: GroupPlan): GroupKey {
  const { localKey, localKeyId } = makeLocalKey();
  return {
    name: plan.name,
    kekId: plan.kek.kekId,
    columns: plan.columns,
    localKey,
    localKeyId,
    wrapped: wrapLocalKey({ localKey, localKeyId, kek: plan.kek }),
    [Symbol.dispose]: () => {
      localKey[Symbol.dispose]();
    },
  };
}

/** The group of all columns that no other names. @throws seal.plan where there is not exactly one */
export function restGroup(groups: readonly GroupKey[]): GroupKey {
  const rest = groups.filter((group) => group.columns === null);
  const [only] = rest;
  if (only === undefined || rest.length !== 1)
    throw new PpmlError(
      "seal.plan",
      `a dataset needs exactly one group without columns, for all that the others do not name; it has ${rest.length}`,
    );
  return only;
}
