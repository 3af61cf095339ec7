import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { PpmlError } from "../../base/index.ts";

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const OTHER_SCRIPT = /^(?=.*[^\p{ASCII}])[\p{L}\p{M}\p{N}.-]+$/u;
const MAX_NAME_CHARACTERS = 253;

/** Most names of a certificate. */
export const MAX_NAMES = 100;

/**
 * A server's name for a certificate: an IP address as it is, or a DNS name in lower case, other
 * scripts as `xn--` labels, `*` as the whole first label only.
 * @throws provision.input
 * @see RFC 5280 section 4.2.1.6; RFC 1123 section 2.1; RFC 9525 section 6.3
 */
export function parseServerName(text: string): string {
  if (isIP(text) !== 0 && !text.includes("%")) return text.toLowerCase();
  const isWildcard = text.startsWith("*.");
  const given = isWildcard ? text.slice(2) : text;
  // domainToASCII reads as URLs do: it drops tabs, line ends and what follows a slash.
  const name = OTHER_SCRIPT.test(given) ? domainToASCII(given) : given.toLowerCase();
  const labels = name.split(".");
  const isName =
    name.length <= MAX_NAME_CHARACTERS - (isWildcard ? 2 : 0) &&
    labels.every((label) => LABEL.test(label)) &&
    // "1.2.3" or "0x7f.1" would be read as an address; the last label of a name has a letter.
    isIP(name) === 0 &&
    /[a-z]/.test(labels.at(-1) ?? "") &&
    // `*.com` would stand for a whole top-level domain.
    (!isWildcard || labels.length >= 2);
  if (isName) return isWildcard ? `*.${name}` : name;
  throw new PpmlError(
    "provision.input",
    `${JSON.stringify(text)} is not a server's name: expected a DNS name such as spark.example.com, or an IP address`,
  );
}
