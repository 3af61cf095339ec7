import assert from "node:assert/strict";
import { test } from "node:test";
import { PpmlError, utf8 } from "../../../src/base/index.ts";
import { failureOf, wireFailure } from "../../../src/compute/sql/wire-failure.ts";

const payload = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

test("an error of ours crosses the channel whole, any other by its name alone", () => {
  const error = new PpmlError("open.no_key", "no key", { detail: { column: "salary" } });
  const { code, message, detail } = failureOf(payload(wireFailure(error)));
  assert.deepEqual({ code, message, detail }, { ...wireFailure(error) });
  const other = failureOf(payload(wireFailure(new RangeError("4111 1111 1111 1111"))));
  assert.equal(other.code, "base.internal");
  assert.doesNotMatch(other.message, /4111/);
});

test("a failure of an unknown code, or of another form, is the worker's", () => {
  const failure = { code: "open.no_key", message: "no key", detail: {} };
  const unknown = failureOf(payload({ ...failure, code: "toString" }));
  assert.deepEqual([unknown.code, unknown.message], ["compute.worker", "no key"]);
  for (const wrong of [
    null,
    [],
    "no key",
    { ...failure, code: 1 },
    { ...failure, message: undefined },
    { ...failure, detail: null },
    { ...failure, detail: [] },
    { ...failure, more: true },
  ]) {
    const { code, message } = failureOf(payload(wrong));
    assert.equal(code, "compute.worker");
    assert.match(message, /channel's form/);
  }
});
