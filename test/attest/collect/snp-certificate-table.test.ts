import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseSnpCertificateTable } from "../../../src/attest/collect/snp-certificate-table.ts";
import { concatBytes, isPpmlError } from "../../../src/base/index.ts";
import { certificateTable } from "./certificate-table.ts";

function refuses(table: Uint8Array, message: RegExp): void {
  assert.throws(
    () => parseSnpCertificateTable(table),
    (error: unknown) => isPpmlError(error, "attest.invalid") && message.test(error.message),
  );
}

const [vcek, ask, ark] = [
  new Uint8Array(700).fill(1),
  new Uint8Array(900).fill(2),
  new Uint8Array(90).fill(3),
];

test("certificates are found by their GUIDs, unknown ones are left out", () => {
  const table = certificateTable({ vcek, ask, ark, unknown: Uint8Array.of(9) });
  assert.deepEqual(parseSnpCertificateTable(table), { vcek, ask, ark });
  assert.deepEqual(parseSnpCertificateTable(concatBytes(table, new Uint8Array(4096))), {
    vcek,
    ask,
    ark,
  });
  assert.deepEqual(parseSnpCertificateTable(new Uint8Array()), {});
  assert.deepEqual(parseSnpCertificateTable(new Uint8Array(0x4000)), {});
});

test("GUIDs are found in the mixed order of their bytes, too", () => {
  const mixed = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  assert.deepEqual(parseSnpCertificateTable(certificateTable({ vcek, ask, ark }, mixed)), {
    vcek,
    ask,
    ark,
  });
});

test("every truncation of a table is refused", () => {
  const table = certificateTable({ vcek, ark });
  for (let length = 1; length < table.byteLength; length += 1)
    refuses(table.subarray(0, length), /no end|beyond/);
});

test("entries beyond the table, two of one kind and tables over 16 KiB are refused", () => {
  const wide = certificateTable({ vcek });
  new DataView(wide.buffer).setUint32(16, 0xffffffff, true);
  refuses(wide, /beyond/);
  const one = certificateTable({ vcek });
  const head = one.subarray(0, 24);
  refuses(concatBytes(head, head, one.subarray(24)), /two entries of vcek/);
  refuses(new Uint8Array(0x4001), /at most/);
});

test("any bytes give certificates or an error of ours", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        parseSnpCertificateTable(bytes);
      } catch (error) {
        assert.ok(isPpmlError(error, "attest.invalid"));
      }
    }),
  );
});
