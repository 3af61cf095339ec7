import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPpmlError, toHex } from "../../../src/base/index.ts";
import {
  encodeDcapQuote,
  encodeSignedBytes,
  parseDcapQuote,
} from "../../../src/attest/evidence/dcap-quote.ts";
import { parseTdAttributes } from "../../../src/attest/evidence/td-attributes.ts";
import { sgxAttributes } from "../../../src/attest/evidence/sgx-report.ts";
import { skipWithout } from "../../shared-data.ts";
import { dcapIndex, indexPath, vectorBytes } from "../dcap-vectors.ts";
import { noiseQuote, QUOTE_KINDS, tdReport } from "./quote-fixture.ts";

const isRefusal = (error: unknown): boolean =>
  isPpmlError(error, "attest.invalid") || isPpmlError(error, "attest.unsupported");

const check = (bytes: Uint8Array): void => {
  let quote;
  try {
    quote = parseDcapQuote(bytes);
  } catch (error) {
    assert.ok(isRefusal(error), String(error));
    return;
  }
  const again = encodeDcapQuote({ ...quote, signedBytes: encodeSignedBytes(quote) });
  assert.deepEqual(again, bytes.slice(0, again.byteLength));
};

const td = (...bits: readonly bigint[]) => {
  const bytes = new Uint8Array(8);
  const value = bits.reduce((sum, bit) => sum | (1n << bit), 0n);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return parseTdAttributes(bytes);
};

const with32 = (bytes: Uint8Array, offset: number, value: number): Uint8Array => {
  const changed = Uint8Array.from(bytes);
  new DataView(changed.buffer).setUint32(offset, value, true);
  return changed;
};

for (const kind of QUOTE_KINDS)
  describe(`a quote of version ${kind[0]} over a body of type ${kind[1]}`, () => {
    const { bytes, header, body, signature } = noiseQuote(kind);
    const lengthAt = (kind[0] === 5 ? 54 : 48) + bodyLength(kind[1]);

    test("parses to the fields that it was made of, and encodes to its own bytes", () => {
      const quote = parseDcapQuote(bytes);
      assert.deepEqual(quote.header, header);
      assert.deepEqual(quote.body, body);
      const { qeReportBytes, ...parsed } = quote.signature;
      assert.deepEqual(parsed, signature);
      assert.equal(qeReportBytes.byteLength, 384);
      const signedBytes = encodeSignedBytes(quote);
      assert.deepEqual(signedBytes, quote.signedBytes);
      assert.deepEqual(encodeDcapQuote({ ...quote, signedBytes }), bytes);
    });

    test("does not change with the bytes that it was parsed from", () => {
      const lent = Uint8Array.from(bytes);
      const quote = parseDcapQuote(lent);
      lent.fill(0);
      assert.deepEqual(quote.body, body);
    });

    test("is refused at every truncation", () => {
      for (let length = 0; length < bytes.byteLength; length += 1)
        assert.throws(() => parseDcapQuote(bytes.subarray(0, length)), isRefusal);
    });

    test("may be followed by zero bytes and by nothing else", () => {
      assert.deepEqual(parseDcapQuote(new Uint8Array([...bytes, 0, 0, 0])).body, body);
      for (const rest of [[1], [0, 0, 7]])
        assert.throws(() => parseDcapQuote(new Uint8Array([...bytes, ...rest])), {
          code: "attest.invalid",
          message: /zero bytes after/,
        });
    });

    test("with hostile lengths is refused before anything of that length is made", () => {
      for (const length of [0, 1, 0x7fff_ffff, 0xffff_ffff])
        assert.throws(() => parseDcapQuote(with32(bytes, lengthAt, length)), isRefusal);
      const inner = bytes.byteLength - signature.certificationData.data.byteLength - 4;
      for (const length of [0, 1, 99, 101, 0xffff_ffff])
        assert.throws(() => parseDcapQuote(with32(bytes, inner, length)), {
          code: "attest.invalid",
        });
    });
  });

test("any bytes, and noise in a quote, are refused or give a quote that encodes back", () => {
  const sources = QUOTE_KINDS.map((kind) => noiseQuote(kind).bytes);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), check), { numRuns: 200 });
  fc.assert(
    fc.property(
      fc.constantFrom(...sources),
      fc.nat(3000),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      (source, at, noise) => {
        const bytes = Uint8Array.from(source);
        const offset = at % bytes.byteLength;
        bytes.set(noise.subarray(0, bytes.byteLength - offset), offset);
        check(bytes);
      },
    ),
    { numRuns: 1000 },
  );
});

test("other versions, TEE types and body types are named as unsupported", () => {
  const { bytes } = noiseQuote([5, "td15"]);
  const changed = (offset: number, value: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[offset] = value;
    return copy;
  };
  const unsupported = { code: "attest.unsupported" };
  for (const [offset, value] of [
    [0, 2],
    [0, 3],
    [0, 6],
    [4, 0],
    [4, 0x82],
    [48, 1],
    [48, 5],
  ] as const)
    assert.throws(() => parseDcapQuote(changed(offset, value)), unsupported);
  assert.throws(() => parseDcapQuote(changed(50, 1)), { code: "attest.invalid" });
});

test("a reserved byte that is not zero is refused, in the enclave's report and in the QE's", () => {
  const { bytes } = noiseQuote([3, "sgx"]);
  for (const report of [48, 48 + 384 + 4 + 128])
    for (const offset of [20, 31, 96, 127, 160, 191, 262, 303]) {
      const changed = Uint8Array.from(bytes);
      changed[report + offset] = 1;
      assert.throws(() => parseDcapQuote(changed), { message: /reserved byte/ });
    }
});

test("a quote over 128 KiB is refused, and one whose QE part is not wrapped as type 6", () => {
  assert.throws(() => parseDcapQuote(new Uint8Array(128 * 1024 + 1)), { code: "attest.invalid" });
  const { bytes } = noiseQuote([4, "td10"]);
  const changed = Uint8Array.from(bytes);
  changed[48 + 584 + 4 + 128] = 5;
  assert.throws(() => parseDcapQuote(changed), { message: /type 6/ });
});

test("a body that a version does not have is not encoded", () => {
  const { header } = noiseQuote([4, "td10"]);
  for (const [version, type] of [
    [3, "td10"],
    [4, "td15"],
  ] as const)
    assert.throws(
      () => encodeSignedBytes({ tee: "tdx", header: { ...header, version }, body: tdReport(type) }),
      { code: "attest.invalid" },
    );
  const wrong = { ...tdReport("td10"), mrTd: new Uint8Array(47) };
  assert.throws(() => encodeSignedBytes({ tee: "tdx", header, body: wrong }), {
    message: /48 bytes of mrTd/,
  });
});

test("attributes are read bit by bit", () => {
  assert.equal(td(0n).debug, true);
  for (const bit of [4n, 5n, 6n]) assert.equal(td(bit).profiling, true);
  assert.equal(td(28n).septVeDisable, true);
  assert.equal(td(29n).migratable, true);
  assert.equal(td(63n).perfmon, true);
  const defined = new Set([0, 4, 5, 6, 16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 62, 63]);
  for (let bit = 0; bit < 64; bit += 1)
    assert.equal(td(BigInt(bit)).reserved === 0n, defined.has(bit), `bit ${bit}`);
  const sgx = sgxAttributes(
    Uint8Array.of(0x16, ...Array<number>(7).fill(0), 7, ...Array<number>(7).fill(0)),
  );
  assert.deepEqual(
    { debug: sgx.debug, mode64Bit: sgx.mode64Bit, provisionKey: sgx.provisionKey, xfrm: sgx.xfrm },
    { debug: true, mode64Bit: true, provisionKey: true, xfrm: 7n },
  );
});

for (const vector of dcapIndex.quotes)
  test(`the quote ${vector.id} parses to its known claims and encodes to its own bytes`, () => {
    const bytes = vectorBytes(vector.file);
    const quote = parseDcapQuote(bytes);
    const signedBytes = encodeSignedBytes(quote);
    assert.deepEqual(encodeDcapQuote({ ...quote, signedBytes }), bytes);
    const { body, signature } = quote;
    const known: Record<string, unknown> = {
      version: quote.header.version,
      attKeyType: quote.header.attestationKeyType,
      tee: quote.tee.toUpperCase(),
      qeIsvSvn: signature.qeReport.isvSvn,
      qeMrsigner: toHex(signature.qeReport.mrSigner),
      certType: signature.certificationData.type,
      reportData: toHex(body.reportData),
      ...("mrEnclave" in body
        ? {
            mrEnclave: toHex(body.mrEnclave),
            mrenclave: toHex(body.mrEnclave),
            mrsigner: toHex(body.mrSigner),
            isvProdId: body.isvProdId,
            isvSvn: body.isvSvn,
            debug: sgxAttributes(body.attributes).debug,
          }
        : {
            teeTcbSvn: toHex(body.teeTcbSvn),
            mrSeam: toHex(body.mrSeam),
            mrtd: toHex(body.mrTd),
            tdAttributes: toHex(body.tdAttributes),
            debug: parseTdAttributes(body.tdAttributes).debug,
            xfam: toHex(body.xfam),
            rtmr0: toHex(body.rtmr0),
            rtmr1: toHex(body.rtmr1),
            rtmr2: toHex(body.rtmr2),
            rtmr3: toHex(body.rtmr3),
          }),
    };
    // The certificate of one is broken on purpose, so that nothing else of it is listed.
    if ("parseError" in vector.parsed) return;
    const shared = Object.keys(known).filter((key) => vector.parsed[key] !== undefined);
    assert.ok(shared.length >= 10, `only ${shared.join(" ")} are known`);
    for (const key of shared) assert.deepEqual(known[key], vector.parsed[key], key);
  });

test("the quotes of hardware are there", { skip: skipWithout(indexPath) }, () => {
  assert.equal(dcapIndex.quotes.length, 58);
});

function bodyLength(type: (typeof QUOTE_KINDS)[number][1]): number {
  return { sgx: 384, td10: 584, td15: 648, td15ex: 885 }[type];
}
