import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { claimsOf as earClaims, p256, tokenOf as earToken } from "../attest/ear/fixture.ts";
import { wire } from "../attest/fixture.ts";
import { jwkOf, NOW_MS, providerKey, tokenOf } from "../attest/maa-fixture.ts";
import { runInProcess } from "./ppml.ts";
import type { Run } from "./ppml.ts";

const AT = ["--at", String(NOW_MS / 1000)];
const COMMANDS = ["verify", "explain", "diff"] as const;

let folder: string;
const at = (name: string): string => join(folder, name);
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(at(name), content);
  return at(name);
};
const attest = (...args: readonly string[]): Promise<Run> =>
  runInProcess(["attest", ...args], { cwd: folder });

const refusalSchema = z.union([
  z.looseObject({
    refusal: z.object({ code: z.string(), message: z.string(), remedy: z.string() }),
  }),
  z.object({ error: z.object({ code: z.string(), message: z.string(), detail: z.unknown() }) }),
]);

/** One JSON document on stdout that says the refusal, nothing on stderr, no stack, no control character. */
function refusalOf(run: Run, code = 1): { readonly code: string; readonly message: string } {
  assert.equal(run.code, code, run.stdout + run.stderr);
  const found = refusalSchema.parse(JSON.parse(run.stdout));
  const said = "refusal" in found && found.refusal !== undefined ? found.refusal : errorOf(found);
  assert.notEqual(said.code, "base.internal", said.message);
  assert.doesNotMatch(run.stdout + run.stderr, /\n\s+at .*:\d+:\d+/);
  return said;
}

function errorOf(found: z.infer<typeof refusalSchema>): { code: string; message: string } {
  return z.object({ error: z.object({ code: z.string(), message: z.string() }) }).parse(found)
    .error;
}

/** The arguments of a command over one file: diff wants two. */
const over = (command: (typeof COMMANDS)[number], file: string): readonly string[] =>
  command === "diff" ? [command, file, file] : [command, file];

/** What people see of it holds no control character but line feeds. */
async function isPlain(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await attest(...args);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  return stdout + stderr;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), "ppml hostile "));
  mkdirSync(at("folder"));
  assert.equal(spawnSync("mkfifo", [at("pipe")]).status, 0);
  symlinkSync(at("loop-b"), at("loop-a"));
  symlinkSync(at("loop-a"), at("loop-b"));
  const sparse = openSync(at("sparse"), "w");
  ftruncateSync(sparse, 5 * 2 ** 30);
  closeSync(sparse);
  write("token.jwt", tokenOf());
  write("jwks.json", JSON.stringify({ keys: [jwkOf(providerKey.publicKey)] }));
  write("ear.jwt", earToken());
  write("ear-key.json", JSON.stringify(p256.publicKey.export({ format: "jwk" })));
});
after(() => rmSync(folder, { recursive: true }));

const PLACES: readonly (readonly [name: string, why: RegExp])[] = [
  ["folder", /it is a folder/],
  ["pipe", /it is a pipe/],
  ["/dev/zero", /it is a device/],
  ["sparse", /longer than \d+ bytes/],
  ["loop-a", /go in circles/],
  ["none", /no such file/],
];

describe("what is no file of Evidence", () => {
  for (const [name, why] of PLACES)
    test(`${name} is refused without being read, by each command`, async () => {
      for (const command of COMMANDS) {
        const { code, message } = refusalOf(await attest(...over(command, name), "--json"));
        assert.equal(code, "attest.invalid");
        assert.match(message, why);
      }
    });

  for (const [name] of PLACES.filter(([each]) => each !== "none" && each !== "folder"))
    test(`${name} is refused as collateral, keys, policy and runtime data`, async () => {
      const good = ["verify", "token.jwt", "--collateral", "jwks.json", ...AT, "--json"];
      const snp = write("snp.json", JSON.stringify({ ...wire, type: "snp" }));
      for (const args of [
        ["verify", "token.jwt", "--collateral", name, "--json"],
        ["verify", "ear.jwt", "--collateral", name, "--json"],
        ["verify", snp, "--collateral", name, "--json"],
        [...good, "--policy", name],
        [...good, "--runtime-data", name],
      ])
        assert.match(refusalOf(await attest(...args)).message, /cannot be read/);
    });
});

const nested = (open: string, close: string, levels: number): string =>
  `{"quote":${open.repeat(levels)}1${close.repeat(levels)}}`;

describe("hostile content of Evidence", () => {
  const contents: readonly (readonly [name: string, content: string | Uint8Array, code: string])[] =
    [
      ["objects in 200,000 levels", nested('{"a":', "}", 200_000), "attest.unsupported"],
      ["lists in a million levels", nested("[", "]", 1_000_000), "attest.unsupported"],
      [
        "wire Evidence with deep collateral",
        `{"type":"snp","evidence":"AAAA","collateral":${nested('{"a":', "}", 50_000)}}`,
        "attest.unsupported",
      ],
      ["4 MB of hex", "ab".repeat(2_000_000), "attest.unsupported"],
      ["an odd number of hex digits", "a".repeat(4_000_001), "attest.unsupported"],
      ["4 MB of base64 in JSON", `{"quote":"${"A".repeat(4_000_000)}"}`, "attest.unsupported"],
      [
        "a token of 3 MB",
        `eyJ${"A".repeat(1e6)}.${"B".repeat(1e6)}.${"C".repeat(1e6)}`,
        "attest.invalid",
      ],
      ["invalid UTF-8 in JSON", Buffer.from('{"a":"\xff\xfe"}', "latin1"), "attest.unsupported"],
      ["UTF-16", Buffer.from('\ufeff{"a":1}', "utf16le"), "attest.unsupported"],
      [
        "a member twice",
        '{"type":"snp","type":"maa","evidence":"AAAA","collateral":{}}',
        "attest.unsupported",
      ],
      ["the member __proto__", '{"__proto__":{"type":"snp"},"quote":"AAAA"}', "attest.unsupported"],
      [
        "100,000 members",
        `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join(",")}}`,
        "attest.unsupported",
      ],
    ];
  for (const [name, content, expected] of contents)
    test(`${name} is one clear refusal`, async () => {
      const { code, message } = refusalOf(
        await attest("verify", write("hostile", content), "--json"),
      );
      assert.equal(code, expected, message);
      assert.ok(message.length < 400, `${message.length} characters`);
    });

  test("names, claims and statuses from outside cannot move the cursor of a terminal", async () => {
    const escape = "\u001b[2J\u0007\u202e";
    for (const [name, content, collateral] of [
      ["issuer", tokenOf({ claims: { iss: `https://x${escape}` } }), "jwks.json"],
      ["claim", tokenOf({ claims: { "x-ms-compliance-status": escape } }), "jwks.json"],
      ["header", tokenOf({ header: { kid: escape } }), "jwks.json"],
      ["type", JSON.stringify({ type: escape, evidence: "AAAA", collateral: {} }), "jwks.json"],
      [
        "verifier",
        earToken(earClaims({ "ear.verifier-id": { developer: escape, build: escape } })),
        "ear-key.json",
      ],
      ["status", earToken(earClaims({}, { "ear.status": escape })), "ear-key.json"],
      ["submodule", earToken(earClaims({ submods: { [escape]: 1 } })), "ear-key.json"],
    ] as const)
      for (const command of ["verify", "explain"]) {
        const file = write(name, content);
        const said = await isPlain(command, file, "--collateral", collateral, ...AT);
        assert.ok(said.length > 10, name);
        await isPlain(command, at(`none${escape}`));
      }
  });
});

describe("hostile collateral, keys, policies and flags", () => {
  test("10,000 keys, keys of another kind and no keys are refused", async () => {
    const key = jwkOf(providerKey.publicKey);
    write("many.json", JSON.stringify({ keys: Array.from({ length: 10_000 }, () => key) }));
    write("none.json", '{"keys":[]}');
    write(
      "noise.json",
      Uint8Array.from({ length: 3000 }, (_, i) => (i * 151) % 256),
    );
    for (const evidence of ["token.jwt", "ear.jwt"])
      for (const keys of ["many.json", "none.json", "noise.json"])
        refusalOf(await attest("verify", evidence, "--collateral", keys, ...AT, "--json"));
    refusalOf(await attest("verify", "token.jwt", "--collateral", "ear-key.json", ...AT, "--json"));
    refusalOf(await attest("verify", "ear.jwt", "--collateral", "jwks.json", ...AT, "--json"));
  });

  test("collateral of another kind than the Evidence, and JSON that is deep, are refused", async () => {
    const snp = write("snp.json", JSON.stringify({ ...wire, type: "snp", collateral: {} }));
    write("deep.json", `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`);
    for (const file of ["jwks.json", "deep.json", "token.jwt", "ear-key.json"])
      refusalOf(await attest("verify", snp, "--collateral", file, "--json"));
    const found = refusalOf(await attest("verify", snp, "--collateral", "deep.json", "--json"));
    assert.match(found.message, /deeper than 64 levels/);
  });

  test("a policy of every wrong form is one error", async () => {
    const good = ["verify", "token.jwt", "--collateral", "jwks.json", ...AT, "--json"];
    assert.equal((await attest(...good)).code, 0);
    for (const text of [
      "",
      "{",
      "x",
      "null",
      "1e999",
      "[]",
      "{}",
      '"tee"',
      '{"tee":null}',
      '{"tee":"bogus"}',
      '{"tee":"snp"}',
      '{"v":1,"name":"x"}',
      '{"tee":{"__proto__":1}}',
      "[".repeat(100_000),
    ]) {
      const { code } = refusalOf(await attest(...good, "--policy", write("policy.json", text)));
      assert.match(code, /^(?:release\.policy|format\.(?:invalid|too_large))$/, text.slice(0, 20));
    }
  });

  test("times out of bounds, flags that come twice and flags that are unknown are usage errors", async () => {
    for (const args of [
      ["--at", "99999999999999999999"],
      ["--at", "-1"],
      ["--at", "253402300800"],
      ["--at", "1e3"],
      ["--at", ""],
      ["--at", "1", "--at", "2"],
      ["--policy", "a", "--policy", "b"],
      ["--at"],
      ["--bogus"],
    ]) {
      const run = await attest("verify", "token.jwt", "--json", ...args);
      assert.equal(refusalOf(run, 2).code, "cli.usage", args.join(" "));
    }
  });

  test("a PCCS that is no https URL is a usage error, not an attempt", async () => {
    const snp = write("snp.json", JSON.stringify({ ...wire, type: "snp", collateral: {} }));
    for (const url of [
      "file:///etc/passwd",
      "http://pccs.example",
      "https://user:word@pccs.example",
      "https://pccs.example/?a=b",
      "nonsense",
      "",
    ]) {
      const run = await attest("verify", snp, "--fetch", "--pccs", url, "--json");
      assert.equal(refusalOf(run, 2).code, "cli.usage", url);
    }
    const alone = await attest("verify", snp, "--pccs", "https://pccs.example", "--json");
    assert.equal(refusalOf(alone, 2).code, "cli.usage");
  });
});

test("each command is 0 where all is well, 1 where it is refused and 2 where it is called wrongly, with one JSON document each time", async () => {
  const collateral = ["--collateral", "jwks.json", ...AT, "--json"];
  const other = write("other.jwt", tokenOf({ claims: { jti: "x" }, header: { kid: "gone" } }));
  for (const command of COMMANDS) {
    const good = await attest(...over(command, "token.jwt"), ...collateral);
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.equal(typeof JSON.parse(good.stdout), "object");
    refusalOf(await attest(...over(command, other), ...collateral));
    refusalOf(await attest(command, "--json"), 2);
    refusalOf(await attest(...over(command, "token.jwt"), "x", "--json"), 2);
  }
});
