import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceUrl } from "../../../src/attest/collateral/service-url.ts";

test("a service's place is an https URL, taken without slashes at its end", () => {
  for (const [given, expected] of [
    ["https://kds.example", "https://kds.example"],
    ["https://kds.example/", "https://kds.example"],
    ["https://kds.example/a//", "https://kds.example/a"],
    ["HTTPS://KDS.example:443", "https://kds.example"],
    ["https://[::1]:8081/", "https://[::1]:8081"],
  ] as const)
    assert.equal(serviceUrl(given), expected);
});

test("another protocol, a user or password, a query and a fragment are refused", () => {
  for (const text of [
    "http://kds.example",
    "file:///etc/passwd",
    "kds.example",
    "",
    "https://",
    "https://user@kds.example",
    "https://:word@kds.example",
    "https://kds.example/?",
    "https://kds.example?a=b",
    "https://kds.example/#",
  ])
    assert.equal(serviceUrl(text), null, text);
});
