import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fromUtf8, PpmlError, readBoundedFile, toBase64Url } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import { parseAmdHostCertificates } from "../evidence/amd-host-certificates.ts";
import { parseUniqueJson } from "../token/unique-json.ts";
import { parsePemCertificates } from "../x509/pem.ts";
import { nameAmdCertificates } from "./amd-certificates.ts";
import { isDcapFolder, parseDcapFolder } from "./dcap-folder.ts";
import { encodeDcapWireCollateral, parseQuoteCollateralV3 } from "./dcap-collateral.ts";

/** Longest file in bytes. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** Files of SNP collateral by the names that the wire has, without their endings. */
const SNP_NAMES: ReadonlySet<string> = new Set([
  "ark",
  "ask",
  "asvk",
  "vcek",
  "vlek",
  "crl",
  "uvm",
]);
const ENDINGS = /\.(?:der|pem|crt|cer|crl|cose)$/;

/** The answer of AMD's service with the authorities, as it is saved: with an ending or without. @see AMD 57230 (VCEK) section 4.2 */
const AMD_CHAIN = "cert_chain";

/** The file of a folder that holds nothing else has this ending. */
const JSON_ENDING = ".json";

/** UTF-8's byte order mark, with which some programs begin text. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Loads collateral from a file or a folder, so that Evidence is verified without a network; it comes
 * as Evidence carries it on the wire. A file of JSON holds QuoteCollateralV3, or the certificates that
 * an Azure host gives for its chip; another file holds AMD's certificates in DER or PEM, in any order.
 * A folder holds one `.json` file, the parts that Intel's service gives (`parseDcapFolder`), or certificates named ark, ask, asvk, vcek, vlek (DER or PEM, `.der`, `.pem`, `.crt`, `.cer`),
 * AMD's cert_chain, crl (DER) and uvm (COSE). Other files are refused: a name that is mistyped would be missed.
 * @throws attest.collateral, attest.invalid
 * @see docs/attestation.md section "Collateral"
 */
export async function loadCollateral(path: string): Promise<WireEvidence["collateral"]> {
  const { isFolder } = await look(path);
  if (!isFolder) return loadFile(path);
  const names = (await list(path)).filter((name) => !name.startsWith(".")).sort();
  const [only, ...more] = names;
  if (only === undefined) throw failed(path, "the folder is empty");
  if (only.endsWith(JSON_ENDING) && more.length === 0) return loadFile(join(path, only));
  if (isDcapFolder(names)) return loadDcapFolder(path, names);
  const collateral: Record<string, string> = {};
  for (const file of names)
    for (const [name, part] of Object.entries(await loadAmdFile(join(path, file)))) {
      if (name in collateral) throw failed(join(path, file), `there are two files of ${name}`);
      collateral[name] = part;
    }
  return collateral;
}

/** What a file of a folder of certificates holds, by the names that the wire has. */
async function loadAmdFile(path: string): Promise<WireEvidence["collateral"]> {
  const file = basename(path);
  const name = file.replace(ENDINGS, "");
  if (name === AMD_CHAIN) return certificatesIn(await readBounded(path), path);
  if (!ENDINGS.test(file) || !SNP_NAMES.has(name))
    throw failed(
      path,
      "it is not one of the files that are looked for: one .json file alone, the parts that Intel's service gives (tcb_info.json and others), or certificates named ark, ask, asvk, vcek, vlek (.pem, .der, .crt, .cer), AMD's cert_chain, crl.crl and uvm.cose",
    );
  return { [name]: toBase64Url(asDer(await readBounded(path), path)) };
}

async function loadDcapFolder(
  path: string,
  names: readonly string[],
): Promise<WireEvidence["collateral"]> {
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(name, withoutMark(await readBounded(join(path, name))));
  try {
    return encodeDcapWireCollateral(parseDcapFolder(files));
  } catch (cause) {
    if (!(cause instanceof PpmlError)) throw cause;
    throw failed(path, cause.message, cause);
  }
}

async function loadFile(path: string): Promise<WireEvidence["collateral"]> {
  const bytes = withoutMark(await readBounded(path));
  if (!path.endsWith(JSON_ENDING) && !isObject(bytes)) return certificatesIn(bytes, path);
  const value = parseJsonFile(bytes, path);
  if (typeof value !== "object" || value === null || !("vcekCert" in value))
    return encodeDcapWireCollateral(parseQuoteCollateralV3(value));
  const { ark, ask, vcek } = parseAmdHostCertificates(fromUtf8(bytes));
  return { ark: toBase64Url(ark), ask: toBase64Url(ask), vcek: toBase64Url(vcek) };
}

/** RFC 8259 section 8.1: parsers "MAY ignore the presence of a byte order mark". */
function withoutMark(bytes: Uint8Array): Uint8Array {
  const isMarked = BYTE_ORDER_MARK.every((byte, index) => bytes[index] === byte);
  return isMarked ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}

/** "{" behind white space: no certificate begins so. */
function isObject(bytes: Uint8Array): boolean {
  return /^\s*\{/.test(Buffer.from(bytes.subarray(0, 64)).toString("latin1"));
}

function certificatesIn(bytes: Uint8Array, path: string): WireEvidence["collateral"] {
  try {
    return nameAmdCertificates(bytes);
  } catch (cause) {
    if (!(cause instanceof PpmlError)) throw cause;
    const what = `expected JSON, or AMD's certificates in PEM or DER (${cause.message})`;
    throw failed(path, what, cause);
  }
}

function parseJsonFile(bytes: Uint8Array, path: string): unknown {
  try {
    return parseUniqueJson(bytes, "the file");
  } catch (cause) {
    const why = cause instanceof PpmlError ? cause.message : "it cannot be read";
    throw failed(path, `it is not JSON: ${why}`, cause);
  }
}

/** A file of PEM holds one certificate; anything else is taken as it is. */
function asDer(bytes: Uint8Array, path: string): Uint8Array {
  // "-": PEM begins with dashes, DER and COSE do not.
  if (bytes[0] !== 0x2d) return bytes;
  const [certificate, ...more] = parsePemCertificates(Buffer.from(bytes).toString("latin1"));
  if (certificate === undefined || more.length > 0)
    throw failed(path, "expected one certificate in it");
  return certificate;
}

async function list(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause) {
    throw failed(path, "the folder cannot be read", cause);
  }
}

async function look(path: string): Promise<{ readonly isFolder: boolean }> {
  try {
    return { isFolder: (await stat(path)).isDirectory() };
  } catch (cause) {
    throw failed(path, "it cannot be read", cause);
  }
}

function readBounded(path: string): Promise<Uint8Array> {
  const options = { maxBytes: MAX_FILE_BYTES, code: "attest.collateral" } as const;
  return readBoundedFile(path, { ...options, what: `collateral in ${path}` });
}

function failed(path: string, what: string, cause?: unknown): PpmlError {
  return new PpmlError("attest.collateral", `collateral in ${path}: ${what}`, {
    detail: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
