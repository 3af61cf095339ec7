import { PpmlError, toHex } from "../../../base/index.ts";
import {
  openFooter,
  parseKeyMaterial,
  readSealedFooter,
  toWrappedLocalKey,
  unwrapTableDek,
} from "../../../format/parquet/index.ts";
import type { SealedFooter } from "../../../format/parquet/index.ts";
import {
  hasSealedFileMagic,
  parseSealedFileHeader,
  plaintextLength,
  SEALED_FILE_HEADER_BYTES,
  segmentCount,
} from "../../../format/sealed-file/index.ts";
import { toUnwrapRequest } from "../../../key/index.ts";
import { isAbfsUri } from "../../../store/index.ts";
import type { StoreSource } from "../../../store/index.ts";
import { defineCommand } from "../../command.ts";
import { projectStores, warner } from "../../data-lake.ts";
import { projectAround, splitPlace } from "../../place-argument.ts";
import { renderFields } from "../../output/table.ts";
import { openProjectVault, vaultFlags } from "../../vault.ts";
import type { VaultFlags } from "../../vault.ts";

type Flags = VaultFlags & { readonly keys?: boolean };
type Fields = Record<string, string | number>;

/** `ppml data inspect FILE`: what a stored file says of itself; with `--keys`, by the vault too. */
export const command = defineCommand<Flags, [string]>({
  parameters: {
    flags: {
      ...vaultFlags,
      keys: {
        kind: "boolean",
        brief: "Unwrap the footer's key with the vault and list the columns' KEKs",
        optional: true,
        withNegated: false,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "FILE",
          brief: "A sealed file or table: a path or an abfss: URI",
          parse: String,
        },
      ],
    },
  },
  description: "Nothing that it shows without --keys is authentic: it is what the bytes say.",
  async run(context, flags, path) {
    const file = splitPlace(context, path);
    const project = isAbfsUri(path) ? await projectAround(context, flags) : null;
    const store = await projectStores(project, warner(context)).open(file.folder);
    await using source = await store.source(file.name);
    const start = await source.read(0, Math.min(source.size, SEALED_FILE_HEADER_BYTES));
    if (start.byteLength === SEALED_FILE_HEADER_BYTES && hasSealedFileMagic(start))
      return shown(sealedFileFields(start, source.size));
    const sealed = await readSealedFooter(source);
    if (sealed.kind === "plaintext")
      throw new PpmlError("open.plaintext", `${path} is a Parquet file in the clear`);
    const fields = tableFields(sealed, source);
    if (flags.keys !== true) return shown(fields);
    using open = await openProjectVault(context, flags);
    return shown({ ...fields, ...(await columnFields(sealed, open.vault)) });

    function shown(found: Fields) {
      const rows = Object.entries(found).map(([name, value]) => [name, String(value)] as const);
      return { data: found, human: () => renderFields(rows, context.style) };
    }
  },
});

function sealedFileFields(bytes: Uint8Array, size: number): Fields {
  const header = parseSealedFileHeader(bytes);
  const plain = plaintextLength(size - SEALED_FILE_HEADER_BYTES);
  const { key } = header.wrap;
  return {
    kind: "sealed file",
    fileId: toHex(header.fileId),
    datasetId: toHex(header.datasetId),
    commitment: toHex(header.commitment),
    localKeyId: key.id,
    kekId: key.kekId,
    kekVersion: key.kekVersion,
    storedBytes: size,
    plaintextBytes: plain,
    segments: segmentCount(plain),
  };
}

function tableFields(sealed: SealedFooter, source: StoreSource): Fields {
  const common = {
    kind: sealed.kind === "encrypted-footer" ? "sealed table" : "table with a plaintext footer",
    algorithm: sealed.crypto.algorithm,
    fileUnique: toHex(sealed.crypto.fileUnique),
    storedBytes: source.size,
    footerBytes: sealed.raw.byteLength,
    footerDigest: toHex(sealed.digest),
  };
  if (sealed.keyMetadata === null) return common;
  const { id, kekId, kekVersion } = toWrappedLocalKey(parseKeyMaterial(sealed.keyMetadata));
  return { ...common, localKeyId: id, kekId, kekVersion };
}

/** The KEK of each column with a key of its own; `footer-key` for the others. */
async function columnFields(
  sealed: SealedFooter,
  vault: Awaited<ReturnType<typeof openProjectVault>>["vault"],
): Promise<Fields> {
  if (sealed.keyMetadata === null)
    throw new PpmlError("open.no_key", "the table's footer names no key");
  const material = parseKeyMaterial(sealed.keyMetadata);
  using localKey = await vault.unwrap(toUnwrapRequest(toWrappedLocalKey(material)));
  using footerKey = unwrapTableDek(material, () => localKey);
  const footer = openFooter(sealed, {
    keyFor: (_, place) => (place === "footer" ? footerKey : null),
  });
  const fields: Fields = {};
  for (const { leaf, protection, keyMetadata } of footer.columns) {
    const wrap = keyMetadata === null ? null : toWrappedLocalKey(parseKeyMaterial(keyMetadata));
    const own = wrap === null ? "no key metadata" : `${wrap.kekId} ${wrap.kekVersion}`;
    fields[`column ${leaf.dotted}`] = protection === "column-key" ? own : protection;
  }
  return fields;
}
