import { isPpmlError } from "../../base/index.ts";
import { isAbfsUri, parseAbfsUri } from "../../store/index.ts";

/**
 * What is wrong with where a store is said to be; null for nothing: a folder's path, a local file: URI
 * or an abfs[s]: URI of a data lake.
 */
export function whyNoStore(place: string): string | null {
  if (isAbfsUri(place))
    try {
      parseAbfsUri(place);
      return null;
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      return error.message.replace(/^.*? names no place of a data lake: /s, "");
    }
  const isFile = place.startsWith("file:");
  if (isFile ? /^file:\/\/\/[^?#]*$/.test(place) && URL.canParse(place) : !hasScheme(place))
    return null;
  return "expected a folder's path, a local file: URI (file:///...) or abfss://FILESYSTEM@ACCOUNT.dfs.core.windows.net/PATH";
}

/** One text for one store: what two datasets must not share. */
export function normalPlace(place: string): string {
  if (isAbfsUri(place)) return parseAbfsUri(place).uri;
  return place.replace(/^\.\//, "").replace(/\/+$/, "");
}

function hasScheme(place: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]+:/.test(place);
}
