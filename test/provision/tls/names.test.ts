import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import { parseServerName } from "../../../src/provision/tls/server-name.ts";
import { commonNameSubject, encodeSubject } from "../../../src/provision/tls/subject.ts";

const NAMES: readonly (readonly [text: string, name: string])[] = [
  ["localhost", "localhost"],
  ["Spark.Example.COM", "spark.example.com"],
  ["*.example.com", "*.example.com"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["10.0.0.4", "10.0.0.4"],
  ["2001:DB8::1", "2001:db8::1"],
  [`${"a".repeat(63)}.de`, `${"a".repeat(63)}.de`],
];

for (const [text, name] of NAMES)
  test(`the server's name ${text.slice(0, 20)} is taken`, () => {
    assert.equal(parseServerName(text), name);
  });

const NO_NAMES = [
  "",
  ".",
  "a.",
  "a..b",
  "-a.example",
  "a-.example",
  "a_b.example",
  "a b.example",
  "a\u0000.example",
  "a.example\n",
  "bü\ncher.example",
  "bü cher.example",
  "bü/cher.example",
  "*.com",
  "*",
  "*.*.example.com",
  "a*.example.com",
  "1.2.3",
  "0x7f.1",
  "999.1.1.1",
  "fe80::1%eth0",
  "https://a.example",
  `${"a".repeat(64)}.de`,
  `${"a.".repeat(126)}de`,
];

for (const text of NO_NAMES)
  test(`T207: ${JSON.stringify(text.slice(0, 30))} is no server's name`, () => {
    assert.throws(() => parseServerName(text), { code: "provision.input" });
  });

test("a subject's attributes stand in the sequence from the last to the first", () => {
  // openssl req -subj '/C=DE/O=A, B/CN=x' -utf8, its subject.
  assert.equal(
    toHex(encodeSubject("CN=x, o=A\\, B,C=DE")),
    "3028310b3009060355040613024445310d300b060355040a0c04412c2042310a300806035504030c0178",
  );
});

test("a common name with what RFC 4514 reserves comes back whole", () => {
  const name = 'a,b+c"d\\e<f>g;h#i=j';
  const der = toHex(encodeSubject(commonNameSubject(name)));
  assert.ok(der.endsWith(Buffer.from(name).toString("hex")), der);
});

const NO_SUBJECTS: readonly (readonly [text: string, message: RegExp])[] = [
  ["", /expected a common name/],
  ["example.com", /expected attributes as in/],
  ["O=Example", /expected a common name/],
  ["CN=", /expected 1 to 64 characters in CN/],
  [`CN=${"x".repeat(65)}`, /expected 1 to 64 characters in CN/],
  ["CN=a,CN=b", /CN is given twice/],
  ["CN=a,", /after the last comma/],
  ["CN=a,,C=DE", /expected attributes as in/],
  ["CN=a,C=de", /two capital letters/],
  ["CN=a,C=DEU", /expected 1 to 2 characters/],
  ["CN=a+OU=b", /expected attributes as in/],
  ["CN=a\\", /expected attributes as in/],
  ["CN=a\u0000b", /control character/],
  ["CN=a\nb", /control character/],
  ["CN=\ud800", /control character/],
  ["emailAddress=a@b", /expected attributes as in|is not one of/],
  ["__proto__=a", /expected attributes as in/],
  ["UID=a,CN=b", /UID is not one of CN, O, OU, L, ST, C/],
];

for (const [text, message] of NO_SUBJECTS)
  test(`T207: the subject ${JSON.stringify(text.slice(0, 30))} is refused`, () => {
    assert.throws(() => encodeSubject(text), { code: "provision.input", message });
  });
