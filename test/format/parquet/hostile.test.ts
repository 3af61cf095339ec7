import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { concatBytes } from "../../../src/base/bytes.ts";
import type { ErrorCode } from "../../../src/base/error-codes.ts";
import { isPpmlError } from "../../../src/base/error.ts";
import {
  encodeFileCrypto,
  encodeFileEnd,
  MAGIC_ENCRYPTED,
  MAGIC_PLAIN,
} from "../../../src/format/parquet/file-crypto.ts";
import {
  createSealer,
  importKey,
  moduleAad,
  nonceSource,
  sealModuleBytes,
  writeU32,
} from "../../../src/format/parquet/module-cipher.ts";
import { readSealedFooter } from "../../../src/format/parquet/index.ts";
import { openFooter } from "../../../src/format/parquet/open-footer.ts";
import {
  structOf,
  THRIFT,
  type ThriftField,
  type ThriftStruct,
} from "../../../src/format/parquet/thrift.ts";
import {
  binary,
  encodeStruct,
  i32,
  i64,
  list,
  struct,
  withFields,
} from "../../../src/format/parquet/thrift-writer.ts";
import { type Duck, startDuck } from "./duck.ts";
import { decryptBytes, footerOf, keyOf, keysOf, openBytes, sealBytes, sourceOf } from "./tables.ts";
import { parseFileMetadata } from "../../../src/format/parquet/file-metadata.ts";

let duck: Duck;
let plain: Uint8Array;
before(async () => {
  duck = await startDuck();
  plain = await duck.parquet(
    "select i, 'n' || (i % 5) as s, [i] as l from range(300) t(i)",
    ", row_group_size 100, compression uncompressed",
  );
});
after(() => duck[Symbol.asyncDispose]());

/** `file` with another footer in place of its own. */
function withFooter(file: Uint8Array, footer: Uint8Array, offset: number): Uint8Array {
  return concatBytes(file.subarray(0, offset), encodeFileEnd(footer, MAGIC_PLAIN));
}

async function plainFooter(): Promise<{ raw: Uint8Array; offset: number }> {
  const footer = await readSealedFooter(sourceOf(plain));
  return { raw: footer.raw.slice(), offset: footer.offset };
}

/** Seals `plain` with its FileMetaData changed; the result is refused with one of `codes`. */
async function refusedFooter(
  change: (fields: ThriftStruct) => ThriftStruct,
  ...codes: readonly string[]
): Promise<void> {
  const { raw, offset } = await plainFooter();
  const footer = encodeStruct(change(parseFileMetadata(raw).fields));
  await assert.rejects(
    sealBytes(withFooter(plain, footer, offset)),
    (error) => isPpmlError(error) && codes.includes(error.code),
  );
}

/** Changes the ColumnMetaData of the first column of each row group. */
const firstMeta =
  (...changes: readonly (readonly [number, ThriftField | null])[]) =>
  (fields: ThriftStruct): ThriftStruct => {
    const { rowGroups } = parseFileMetadata(encodeStruct(fields));
    const groups = rowGroups.map((group) => {
      const columns = group.chunks.map(({ raw, meta }, index) => {
        if (index > 0 || meta === null) return raw;
        return struct(
          withFields(structOf(raw), [[3, struct(withFields(structOf(meta), changes))]]),
        );
      });
      return struct(withFields(structOf(group.raw), [[1, list(THRIFT.struct, columns)]]));
    });
    return withFields(fields, [[4, list(THRIFT.struct, groups)]]);
  };

test("bytes that are no Parquet file are refused", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, framed) => {
      const file = framed ? concatBytes(MAGIC_PLAIN, encodeFileEnd(bytes, MAGIC_PLAIN)) : bytes;
      await assert.rejects(
        sealBytes(file),
        (error) => isPpmlError(error) && error.code.startsWith("format."),
      );
    }),
  );
});

test("a footer longer than the file, or than the bound, is refused before it is read", async () => {
  const reads: number[] = [];
  const virtual = (size: number, length: number, magic: Uint8Array) => ({
    size,
    read: (offset: number, count: number) => {
      reads.push(count);
      const tail = new Uint8Array(8);
      writeU32(tail, { at: 0, value: length });
      tail.set(magic, 4);
      return Promise.resolve(offset === 0 ? magic : tail.subarray(0, count));
    },
  });
  for (const magic of [MAGIC_PLAIN, MAGIC_ENCRYPTED]) {
    await assert.rejects(readSealedFooter(virtual(2 ** 40, 2 ** 32 - 1, magic)), (error) =>
      isPpmlError(error, "format.too_large"),
    );
    await assert.rejects(readSealedFooter(virtual(1000, 989, magic)), (error) =>
      isPpmlError(error, "format.invalid"),
    );
  }
  assert.ok(Math.max(...reads) <= 8);
});

test("column chunks outside the file, overlapping or endless are refused", async () => {
  const { offset } = await plainFooter();
  await invalidMeta([9, i64(0)]);
  await invalidMeta([9, i64(-5)]);
  await invalidMeta([9, i64(offset)]);
  await invalidMeta([9, i64(2 ** 50)]);
  await invalidMeta([7, i64(2 ** 50)]);
  await invalidMeta([7, i64(-1)]);
  await invalidMeta([7, i64(1)]);
  await invalidMeta([7, i64(offset - 4)], [9, i64(4)]); // three row groups of the whole file
  await invalidMeta([9, null]);
  await invalidMeta([1, i32(3)]);
  await invalidMeta([3, list(THRIFT.binary, [binary(Uint8Array.of(0x73))])]);
  await invalidMeta([14, i64(offset + 1)]);
  await invalidMeta([14, i64(10)], [15, i32(offset)]);
  await invalidMeta([14, i64(10)], [15, null]);
});

test("schemas that are cyclic, deep, wide or cut are refused", async () => {
  const { raw } = await plainFooter();
  const schema =
    (...items: readonly ThriftField[]) =>
    () =>
      withFields(parseFileMetadata(raw).fields, [[2, list(THRIFT.struct, items)]]);
  const group = (children: number) => element("g", [5, i32(children)]);
  const leaf = element("l", [1, i32(1)]);
  await refusedFooter(schema(), "format.invalid");
  await refusedFooter(schema(group(2), leaf), "format.invalid");
  await refusedFooter(schema(group(1), leaf, leaf), "format.invalid");
  await refusedFooter(schema(group(2 ** 31 - 1), leaf), "format.invalid");
  await refusedFooter(schema(group(-1), leaf), "format.invalid");
  await refusedFooter(schema(group(1), element("l")), "format.invalid");
  await refusedFooter(schema(group(1), element("l", [1, i32(99)])), "format.invalid");
  const deep = Array.from({ length: 5000 }, () => group(1));
  await refusedFooter(schema(...deep, leaf), "format.too_large");
  const wide = Array.from({ length: 40_000 }, () => leaf);
  await refusedFooter(schema(group(40_000), ...wide), "format.too_large");
  const long = "x".repeat(100_000);
  const under = Array.from({ length: 200 }, () => leaf);
  await refusedFooter(schema(group(1), element(long, [5, i32(200)]), ...under), "format.too_large");
});

test("row groups and columns over the bound of their ordinals are refused", async () => {
  const empty = struct(new Map([[3, i64(0)]]));
  const many = Array.from({ length: 40_000 }, () => empty);
  await refusedFooter(
    (fields) => withFields(fields, [[4, list(THRIFT.struct, many)]]),
    "format.too_large",
  );
  await refusedFooter(
    (fields) => withFields(fields, [[4, list(THRIFT.struct, many.slice(0, 3))]]),
    "format.invalid",
  );
});

test("a chunk of more data pages than ordinals is refused", async () => {
  const page = encodeStruct(
    new Map([
      [1, i32(0)],
      [2, i32(0)],
      [3, i32(0)],
      [5, struct(new Map([1, 2, 3, 4].map((id) => [id, i32(0)])))],
    ]),
  );
  const pages = new Uint8Array(page.byteLength * 32_769);
  for (let at = 0; at < pages.byteLength; at += page.byteLength) pages.set(page, at);
  const one = await duck.parquet("select 1::bigint as i");
  const { raw } = await readSealedFooter(sourceOf(one));
  const changed = (length: number): Uint8Array =>
    concatBytes(
      MAGIC_PLAIN,
      pages,
      encodeFileEnd(
        encodeStruct(
          firstMeta([7, i64(length)], [9, i64(4)], [11, null])(parseFileMetadata(raw).fields),
        ),
        MAGIC_PLAIN,
      ),
    );
  await assert.rejects(sealBytes(changed(pages.byteLength)), (error) =>
    isPpmlError(error, "format.too_large"),
  );
  const { bytes } = await sealBytes(changed(pages.byteLength - page.byteLength));
  const opened = await decryptBytes(bytes);
  assert.ok(opened.byteLength > 0);
});

test("a chunk of a dictionary page alone opens as it was sealed", async () => {
  const copy = (await duck.parquet("select 7 as i, 's' as s")).slice();
  assert.equal(copy[5], 0, "the type of the first page: a data page");
  copy[5] = 4;
  const { bytes } = await sealBytes(copy);
  const again = await sealBytes(await decryptBytes(bytes));
  await decryptBytes(again.bytes);
});

test("a plain file with any changed bytes is sealed or refused, never worse", async () => {
  const source = await duck.parquet("select 7 as i, 's' as s, [1, 2] as l, 1.5::decimal(9,2) as d");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(source.byteLength - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      async (changes) => {
        const copy = source.slice();
        for (const [at, value] of changes) copy[at] = value;
        try {
          const { bytes } = await sealBytes(copy);
          await decryptBytes(bytes);
        } catch (error) {
          assert.ok(isPpmlError(error), String(error));
          assert.match(error.code, /^(format|seal)\./);
        }
      },
    ),
    { numRuns: 1500 },
  );
});

test("an authentic footer of hostile content is opened or refused, never worse", async () => {
  const { bytes } = await sealBytes(plain, { names: ["s"] });
  const footer = await footerOf(bytes);
  const { fileUnique } = footer.crypto;
  const key = importKey(keyOf("footer").dek);
  const opened = await openBytes(bytes);
  const content = encodeStruct(opened.metadata.fields);
  const sealer = createSealer(key, nonceSource());
  const aad = moduleAad(fileUnique);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(content.byteLength - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      async (changes) => {
        const copy = content.slice();
        for (const [at, value] of changes) copy[at] = value;
        const raw = concatBytes(
          encodeFileCrypto({ fileUnique, keyMetadata: keyOf("footer").keyMetadata }),
          sealModuleBytes(sealer, copy, aad("footer")),
        );
        const file = concatBytes(
          bytes.subarray(0, footer.offset),
          encodeFileEnd(raw, MAGIC_ENCRYPTED),
        );
        try {
          await decryptBytes(file, { unauthenticated: "accept" });
        } catch (error) {
          assert.ok(isPpmlError(error), String(error));
          assert.match(error.code, /^(format|open)\./);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("AAD prefixes are taken from the file or from the caller, and must agree", async () => {
  const { bytes } = await sealBytes(plain);
  const footer = await footerOf(bytes);
  const open = (crypto: Partial<typeof footer.crypto>, aadPrefix?: Uint8Array) => () =>
    openFooter(
      { ...footer, crypto: { ...footer.crypto, ...crypto } },
      { keyFor: keysOf(), ...(aadPrefix === undefined ? {} : { aadPrefix }) },
    );
  const { fileUnique } = footer.crypto;
  const head = fileUnique.subarray(0, 5);
  const rest = { fileUnique: fileUnique.subarray(5) };
  open({ ...rest, aadPrefix: head })();
  open({ ...rest, aadPrefix: head }, head)();
  open({ ...rest, aadPrefixNeeded: true }, head)();
  assert.throws(open({ ...rest, aadPrefixNeeded: true }), is("open.no_key"));
  assert.throws(
    open({ ...rest, aadPrefixNeeded: true }, rest.fileUnique),
    is("open.not_authentic"),
  );
  assert.throws(open({ ...rest, aadPrefix: head }, rest.fileUnique), is("open.not_authentic"));
  assert.throws(open({}, head), is("open.not_authentic"));
});

const is = (code: ErrorCode) => (error: unknown) => isPpmlError(error, code);

function invalidMeta(
  ...changes: readonly (readonly [number, ThriftField | null])[]
): Promise<void> {
  return refusedFooter(firstMeta(...changes), "format.invalid");
}

function element(name: string, ...more: readonly (readonly [number, ThriftField])[]): ThriftField {
  return struct(new Map([[4, binary(Buffer.from(name))], ...more]));
}
