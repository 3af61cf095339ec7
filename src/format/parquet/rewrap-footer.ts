import { concatBytes, sha256 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { encodeFileEnd, MAGIC_ENCRYPTED } from "./file-crypto.ts";
import { checkKeyMetadata, parseFileMetadata } from "./file-metadata.ts";
import {
  createSealer,
  importKey,
  moduleAad,
  nonceSource,
  openModule,
  type RandomBytes,
  sealModuleBytes,
} from "./module-cipher.ts";
import type { SealedFooter } from "./sealed-footer.ts";
import type { KeyPlace } from "./table-footer.ts";
import { parseWholeStruct, structField, structOf, THRIFT, type ThriftField } from "./thrift.ts";
import { binary, encodeStruct, list, struct, withFields } from "./thrift-writer.ts";

/** What `rewrapFooter` takes. */
export type RewrapFooterOptions = {
  readonly sealed: SealedFooter;
  /** The footer's DEK, which stays. */
  readonly footerKey: Secret;
  /** Gives the new key metadata for the same DEK; called once a distinct key metadata. */
  readonly mapKeyMetadata: (keyMetadata: Uint8Array, place: KeyPlace) => Uint8Array;
  /** For tests with known answers only; the operating system's generator otherwise. */
  readonly randomBytes?: RandomBytes;
};

/** A footer that names other KEKs for the same DEKs. */
export type RewrappedFooter = {
  /** Without its length and the magic after it. */
  readonly footer: Uint8Array;
  /** SHA-256 of `footer`. */
  readonly digest: Uint8Array;
  /** What replaces the file's bytes from the old footer's offset on. */
  readonly fileEnd: Uint8Array;
};

/**
 * Rewrites the key metadata of a table's footer and seals it anew with a fresh nonce; no data page
 * and no column metadata changes.
 * @throws open.not_authentic, format.unsupported (plaintext footers, AAD prefixes that the file
 * does not store), format.invalid, format.too_large
 * @see docs/format-table.md section "Re-wrapping"
 */
export function rewrapFooter(options: RewrapFooterOptions): RewrappedFooter {
  const { sealed } = options;
  if (sealed.kind !== "encrypted-footer" || sealed.crypto.aadPrefixNeeded)
    throw new PpmlError(
      "format.unsupported",
      "only tables with an encrypted footer and no outside AAD prefix are re-wrapped: seal it anew",
    );
  const { aadPrefix, fileUnique } = sealed.crypto;
  const aad = moduleAad(concatBytes(aadPrefix ?? new Uint8Array(0), fileUnique));
  const key = importKey(options.footerKey);
  const plain = openModule(key, sealed.raw.subarray(sealed.headLength), aad("footer"));
  const head = parseWholeStruct(sealed.raw.subarray(0, sealed.headLength));
  const renew = renewer(options.mapKeyMetadata);
  const keyMetadata = renew(sealed.keyMetadata, "footer");
  const sealer = createSealer(key, nonceSource(options.randomBytes));
  const footer = concatBytes(
    encodeStruct(withFields(head, [[2, keyMetadata]])),
    sealModuleBytes(sealer, rewrapMetadata(plain, renew), aad("footer")),
  );
  const fileEnd = encodeFileEnd(footer, MAGIC_ENCRYPTED);
  return { footer, digest: sha256(footer), fileEnd };
}

type Renew = (keyMetadata: Uint8Array | null, place: KeyPlace) => ThriftField | null;

function rewrapMetadata(bytes: Uint8Array, renew: Renew): Uint8Array {
  const metadata = parseFileMetadata(bytes);
  const groups = metadata.rowGroups.map((group) => {
    const columns = group.chunks.map(({ raw, leaf, protection }) => {
      if (protection.kind !== "column-key" || protection.keyMetadata === null) return raw;
      const field = renew(protection.keyMetadata, { column: leaf.dotted });
      const fields = structOf(raw);
      const crypto = structField(fields, 8) ?? new Map<number, ThriftField>();
      const columnKey = structField(crypto, 2) ?? new Map<number, ThriftField>();
      const renewed = withFields(crypto, [[2, struct(withFields(columnKey, [[2, field]]))]]);
      return struct(withFields(fields, [[8, struct(renewed)]]));
    });
    return struct(withFields(structOf(group.raw), [[1, list(THRIFT.struct, columns)]]));
  });
  return encodeStruct(withFields(metadata.fields, [[4, list(THRIFT.struct, groups)]]));
}

// A wrap is random: asked again, it would give one DEK many wrapped keys.
function renewer(mapKeyMetadata: RewrapFooterOptions["mapKeyMetadata"]): Renew {
  const known = new Map<string, ThriftField>();
  return (keyMetadata, place) => {
    if (keyMetadata === null) return null;
    const name = Buffer.from(keyMetadata).toString("latin1");
    const found = known.get(name);
    if (found !== undefined) return found;
    const renewed = mapKeyMetadata(keyMetadata, place);
    checkKeyMetadata(renewed);
    const field = binary(renewed);
    known.set(name, field);
    return field;
  };
}
