import { randomBytes } from "node:crypto";
import { Secret, toBase64Url } from "../base/index.ts";
import { encodeKeyMaterial, toKeyMaterial, wrapDek } from "../format/parquet/key-material.ts";
import type { TableKey } from "../format/parquet/index.ts";
import type { KekPublicKey, WrappedLocalKey } from "../format/kek.ts";
import { makeGroupKey } from "./group-key.ts";
import type { GroupKey } from "./group-key.ts";

/** Makes a fresh DEK of 32 bytes for one table's footer or column group, with its key metadata. */
export function makeTableKey(
  group: GroupKey,
  options: { readonly isFooterKey: boolean },
): TableKey & Disposable {
  const dek = Secret.take(Uint8Array.from(randomBytes(32)));
  const { localKey, localKeyId } = group;
  const keyMetadata = encodeKeyMaterial(
    toKeyMaterial({
      localKey: group.wrapped,
      wrappedDek: wrapDek({ dek, localKey, localKeyId }),
      isFooterKey: options.isFooterKey,
    }),
  );
  return {
    dek,
    keyMetadata,
    [Symbol.dispose]: () => {
      dek[Symbol.dispose]();
    },
  };
}

/** The keys of a job's results: DEKs go to the engine, the wrapped local key into the manifest. */
export type ResultKeys = Disposable & {
  /** One a result, in their order. */
  readonly tables: readonly {
    readonly dek: Secret;
    /** PKMT1, base64url. */
    readonly keyMetadata: string;
  }[];
  /** The local key that wraps all of them: one unwrap in the vault opens all results. */
  readonly wrapped: WrappedLocalKey;
};

/** Name of a result's only column group. */
export const RESULT_GROUP = "result";

/**
 * Makes the keys of a job's results: a DEK for each, all columns under one KEK.
 * @param options.count results, at least 1
 */
export function makeResultKeys(options: {
  readonly kek: KekPublicKey;
  readonly count: number;
}): ResultKeys {
  using stack = new DisposableStack();
  // The local key has done its work when this returns: it wrapped the DEKs.
  using group = makeGroupKey({ name: RESULT_GROUP, columns: null, kek: options.kek });
  const tables = Array.from({ length: options.count }, () => {
    const { dek, keyMetadata } = stack.use(makeTableKey(group, { isFooterKey: true }));
    return { dek, keyMetadata: toBase64Url(keyMetadata) };
  });
  const deks = stack.move();
  return {
    tables,
    wrapped: group.wrapped,
    [Symbol.dispose]: () => {
      deks[Symbol.dispose]();
    },
  };
}
