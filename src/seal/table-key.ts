import { randomBytes } from "node:crypto";
import { Secret, toBase64Url } from "../base/index.ts";
import { encodeKeyMaterial, toKeyMaterial, wrapDek } from "../format/parquet/index.ts";
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

/** The key of one result: its DEK goes to the engine, the wrapped local key into the manifest. */
export type ResultKey = Disposable & {
  readonly dek: Secret;
  /** PKMT1, base64url. */
  readonly keyMetadata: string;
  readonly wrapped: WrappedLocalKey;
};

/** Name of a result's only column group. */
export const RESULT_GROUP = "result";

/** Makes the keys of a result table, all columns under one KEK. */
export function makeResultKey(kek: KekPublicKey): ResultKey {
  const group = makeGroupKey({ name: RESULT_GROUP, columns: null, kek });
  const { dek, keyMetadata } = makeTableKey(group, { isFooterKey: true });
  const { wrapped } = group;
  // The local key has done its work: it wrapped the DEK.
  group[Symbol.dispose]();
  return {
    dek,
    keyMetadata: toBase64Url(keyMetadata),
    wrapped,
    [Symbol.dispose]: () => {
      dek[Symbol.dispose]();
    },
  };
}
