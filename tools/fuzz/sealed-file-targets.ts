import { concatBytes, Secret, toHex, utf8 } from "../../src/base/index.ts";
import {
  deriveStreamKey,
  fixedPartDigest,
  openSegment,
  parseSealedFileHeader,
  plaintextLength,
  SEALED_FILE_HEADER_BYTES,
  STREAM_HEADER_BYTES,
  unwrapFileDek,
} from "../../src/format/sealed-file/index.ts";
import { openSealedFile } from "../../src/open/open-file.ts";
import { collect, makeLocalKey, makeSample, sourceOf } from "../../test/seal/sealed-sample.ts";
import { type FuzzTarget, parses } from "./target.ts";

/** A local key that every run has, so that a kept input can be run again. */
const localKey = { ...makeLocalKey(), key: Secret.take(new Uint8Array(32).fill(7)) };
const datasetId = "11".repeat(16);
const sample = (text: string) => makeSample(utf8(text), { datasetId, localKey });

/** Sealed files: the header, Tink's segments, and both together as a reader meets them. */
export const SEALED_FILE_TARGETS: readonly FuzzTarget[] = [
  parses(
    "sealed-file-header",
    async () => [(await sample("abc")).bytes.subarray(0, SEALED_FILE_HEADER_BYTES)],
    (input) => {
      const { fileId, commitment, wrap } = parseSealedFileHeader(input);
      return { fileId, commitment, wrap };
    },
  ),
  {
    name: "tink-segments",
    prepare: async () => {
      const { bytes } = await sample("some plaintext ".repeat(40));
      const header = parseSealedFileHeader(bytes.subarray(0, SEALED_FILE_HEADER_BYTES));
      const dek = unwrapFileDek(header, localKey.key);
      return {
        seeds: [bytes.subarray(SEALED_FILE_HEADER_BYTES)],
        promise: "authentic",
        run: (input) => {
          plaintextLength(input.byteLength);
          const start = input.subarray(0, STREAM_HEADER_BYTES);
          const stream = deriveStreamKey(dek, start, header.fixedPart);
          const only = { index: 0, last: true };
          return concatBytes(...openSegment(stream, only, input.subarray(STREAM_HEADER_BYTES)));
        },
        dispose: () => dek[Symbol.dispose](),
      };
    },
  },
  {
    name: "sealed-file",
    prepare: async () => {
      const samples = await Promise.all(["", "abc", "x".repeat(3000)].map(sample));
      return {
        seeds: samples.map(({ bytes }) => bytes),
        promise: "authentic",
        // As if each good file were the one that the manifest lists.
        run: async (input) => {
          const digest = toHex(fixedPartDigest(input));
          const index = Math.max(
            0,
            samples.findIndex(({ sealed }) => sealed.digest === digest),
          );
          const { sealed } = samples[index] ?? (await sample(""));
          const opened = await openSealedFile({
            source: sourceOf(input),
            expected: { ...sealed, datasetId },
            localKeyFor: ({ id }) => (id === localKey.wrapped.id ? localKey.key : null),
          });
          return concatBytes(utf8(`${index} `), await collect(opened.stream()));
        },
      };
    },
  },
];
