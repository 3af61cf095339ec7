import { PpmlError } from "../../base/index.ts";

/** A place in a data lake: a filesystem of a storage account, or a folder of it. */
export type AzurePlace = {
  /** The storage account: 3 to 24 lower-case letters and digits. */
  readonly account: string;
  /** The filesystem (blob container). */
  readonly filesystem: string;
  /** Folder or file in it, without slashes at its ends; "" for the filesystem's root. */
  readonly path: string;
  /** `core.windows.net`, or what another cloud of Azure has in its place. */
  readonly suffix: string;
  /** Normal form: `abfss`, no slash at the end. */
  readonly uri: string;
};

const FORM = "abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH";
const HOST =
  /^([a-z0-9]{3,24})\.dfs\.(core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))$/;
const FILESYSTEM = /^[a-z0-9](?:-?[a-z0-9]){2,62}$/;
// The service's bound is 1,024 characters a whole path; names below a store's folder need some of it.
const MAX_PATH_BYTES = 512;
const MAX_PART_BYTES = 255;

/** Whether a URI is one of a data lake; whether it is a right one, `parseAbfsUri` tells. */
export function isAbfsUri(uri: string): boolean {
  return /^abfss?:/i.test(uri);
}

/**
 * Reads `abfs[s]://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH`. Both schemes mean TLS. The path stands
 * as it is: nothing is percent-decoded, as in Hadoop.
 * @throws store.name with the part that is wrong
 * @see docs/stores.md section "Azure Data Lake"
 */
export function parseAbfsUri(uri: string): AzurePlace {
  const match = /^abfss?:\/\/([^@/]*)@([^/]*)((?:\/.*)?)$/is.exec(uri);
  if (match === null) throw uriError(uri, `expected the form ${FORM}`);
  const [, filesystem = "", authority = "", rest = ""] = match;
  const host = HOST.exec(authority.toLowerCase());
  if (host === null)
    throw uriError(
      uri,
      `expected a host ACCOUNT.dfs.core.windows.net, the account in 3 to 24 lower-case letters and digits; came ${JSON.stringify(authority)}`,
    );
  if (!FILESYSTEM.test(filesystem) || filesystem.length > 63)
    throw uriError(
      uri,
      `a filesystem's name has 3 to 63 lower-case letters, digits and single '-' between them; came ${JSON.stringify(filesystem)}`,
    );
  const [, account = "", suffix = ""] = host;
  const path = checkedPath(uri, rest.replace(/^\/+|\/+$/g, ""));
  const root = `abfss://${filesystem}@${account}.dfs.${suffix}`;
  return { account, filesystem, path, suffix, uri: path === "" ? root : `${root}/${path}` };
}

/** The place of a name below another place. @throws store.name as `parseAbfsUri` */
export function placeBelow(place: AzurePlace, name: string): AzurePlace {
  return parseAbfsUri(`${place.uri}/${name}`);
}

/** Where the blob endpoint of a place's account answers. */
export function blobEndpoint(place: AzurePlace): string {
  return `https://${place.account}.blob.${place.suffix}`;
}

/** Where the Data Lake endpoint of a place's account answers. */
export function dfsEndpoint(place: AzurePlace): string {
  return `https://${place.account}.dfs.${place.suffix}`;
}

/** Why the service could not keep a part of a name as it is; null where it can. */
export function whyNotAzure(part: string): string | null {
  // Control characters cannot be listed (XML 1.0), and a dot at the end is cut off by some clients.
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/.test(part)) return "a control character";
  if (part.endsWith(".")) return "a part that ends with '.'";
  return null;
}

function checkedPath(uri: string, path: string): string {
  if (path === "") return path;
  if (!path.isWellFormed() || /[\\?#]/.test(path))
    throw uriError(uri, "a path has no '\\', '?', '#' or lone surrogates");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw uriError(uri, `a path has at most ${MAX_PATH_BYTES} bytes`);
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === "..")
      throw uriError(uri, `a path has no empty, '.' or '..' part`);
    if (Buffer.byteLength(part) > MAX_PART_BYTES)
      throw uriError(uri, `a part of a path has at most ${MAX_PART_BYTES} bytes`);
    const why = whyNotAzure(part);
    if (why !== null) throw uriError(uri, `a path must not have ${why}`);
  }
  return path;
}

function uriError(uri: string, why: string): PpmlError {
  const shown = JSON.stringify(uri.length <= 200 ? uri : `${uri.slice(0, 197)}...`);
  return new PpmlError("store.name", `${shown} names no place of a data lake: ${why}`, {
    detail: { remedy: `write it as ${FORM}` },
  });
}
