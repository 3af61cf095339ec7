import { PpmlError } from "../../base/index.ts";
import { DER } from "../../attest/der/read.ts";
import { der, derOid, derSequence, derText } from "../../attest/der/write.ts";

type AttributeKind = { readonly oid: string; readonly maxCharacters: number };

/** The attributes that are understood, with their upper bounds. @see RFC 5280 appendix A.1; RFC 4514 section 3 */
const KINDS: Readonly<Record<string, AttributeKind>> = {
  CN: { oid: "2.5.4.3", maxCharacters: 64 },
  O: { oid: "2.5.4.10", maxCharacters: 64 },
  OU: { oid: "2.5.4.11", maxCharacters: 64 },
  L: { oid: "2.5.4.7", maxCharacters: 128 },
  ST: { oid: "2.5.4.8", maxCharacters: 128 },
  C: { oid: "2.5.4.6", maxCharacters: 2 },
};

const PRINTABLE_STRING = 0x13;
// Attribute type, then a value in which `,` `+` `"` `\` `<` `>` `;` `#` and `=` may be escaped by `\`.
const ATTRIBUTE = /^\s*([A-Za-z]{1,8})\s*=((?:[^,+"\\<>;]|\\[,+"\\<>;#=])*)(?:,|$)/;
const CONTROL = /\p{Cc}/u;

/**
 * DER of a distinguished name from text such as `CN=spark.example.com,O=Example,C=DE`: one to six
 * attributes of CN, O, OU, L, ST and C, each at most once, CN among them.
 * @throws provision.input
 * @see RFC 4514 sections 2 and 3; RFC 5280 section 4.1.2.4
 */
export function encodeSubject(text: string): Uint8Array {
  const attributes = new Map<string, string>();
  for (let rest = text; rest !== "";) {
    const [whole, type, raw] = ATTRIBUTE.exec(rest) ?? [];
    if (whole === undefined || type === undefined || raw === undefined)
      throw invalid(text, "expected attributes as in CN=spark.example.com,O=Example,C=DE");
    if (whole.endsWith(",") && whole.length === rest.length)
      throw invalid(text, "expected an attribute after the last comma");
    const name = type.toUpperCase();
    if (attributes.has(name)) throw invalid(text, `${name} is given twice`);
    attributes.set(name, checkedValue(name, { text, raw }));
    rest = rest.slice(whole.length);
  }
  if (!attributes.has("CN")) throw invalid(text, "expected a common name, CN=…");
  // RFC 4514 2.1: the text begins "with the last element of the sequence".
  return derSequence(...[...attributes].toReversed().map(encodeAttribute));
}

/** The text of a common name alone, with what RFC 4514 reserves escaped. */
export function commonNameSubject(name: string): string {
  return `CN=${name.replaceAll(/[,+"\\<>;#=]/g, "\\$&")}`;
}

function checkedValue(
  name: string,
  { text, raw }: { readonly text: string; readonly raw: string },
): string {
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined)
    throw invalid(text, `${name} is not one of ${Object.keys(KINDS).join(", ")}`);
  const value = raw.trim().replaceAll(/\\(.)/g, "$1");
  const characters = Array.from(value).length;
  if (characters === 0 || characters > kind.maxCharacters)
    throw invalid(text, `expected 1 to ${kind.maxCharacters} characters in ${name}`);
  if (CONTROL.test(value) || !value.isWellFormed())
    throw invalid(text, `${name} holds a control character`);
  if (name === "C" && !/^[A-Z]{2}$/.test(value))
    throw invalid(text, "expected two capital letters in C, such as DE");
  return value;
}

function encodeAttribute([name, value]: readonly [string, string]): Uint8Array {
  const oid = KINDS[name]?.oid ?? "";
  // RFC 5280 appendix A.1: countryName is a PrintableString; the others "MUST be UTF8String" or Printable.
  const tag = name === "C" ? PRINTABLE_STRING : DER.utf8String;
  return der(DER.set, derSequence(derOid(oid), derText(tag, value)));
}

function invalid(text: string, what: string): PpmlError {
  return new PpmlError("provision.input", `the subject ${JSON.stringify(text)}: ${what}`);
}
