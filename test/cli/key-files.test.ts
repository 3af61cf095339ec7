import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { test } from "node:test";
import { ppml, type Run, runInProcess, temporaryFolder } from "./ppml.ts";

const GOOD = "a fine password 7 and more";

/** Runs with --json and gives the document. */
async function json(cwd: string, ...args: readonly string[]) {
  const run = await runInProcess([...args, "--json"], { cwd });
  return { ...run, document: JSON.parse(run.stdout) };
}

function secretFile(cwd: string, text: string, mode = 0o600): string {
  const path = join(cwd, `given-${text.length}-${mode}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** What a run said, for a search for secrets. */
function said(run: Run): string {
  return run.stdout + run.stderr;
}

/** Bodies of keys that must not be in what was said. */
function secretsIn(cwd: string): readonly string[] {
  return [
    readFileSync(join(cwd, "keys", "password"), "utf8"),
    readFileSync(join(cwd, "keys", "server.key"), "utf8").split("\n")[1] ?? "",
    readFileSync(join(cwd, "keys", "keystore.jks"))
      .toString("base64")
      .slice(0, 40),
  ];
}

test("key tls makes all files at once; a second run says that they exist; --force replaces them", async (context) => {
  const cwd = temporaryFolder(context);
  const first = await json(cwd, "key", "tls", "--dns", "spark.example.com");
  assert.equal(first.code, 0, first.stdout);
  const { document } = first;
  assert.deepEqual(Object.keys(document), [
    "path",
    "files",
    "passwordFile",
    "serverNames",
    "notBefore",
    "notAfter",
    "certificateSha256",
  ]);
  assert.deepEqual(readdirSync(join(cwd, "keys")).sort(), [
    ".gitignore",
    "keys.yaml",
    "keystore.jks",
    "keystore.pkcs12",
    "password",
    "server.crt",
    "server.csr",
    "server.key",
    "server.pem",
  ]);
  const crt = new X509Certificate(readFileSync(join(cwd, "keys", "server.crt")));
  assert.equal(crt.fingerprint256.replaceAll(":", "").toLowerCase(), document.certificateSha256);
  assert.equal(new Date(document.notAfter).getTime(), crt.validToDate.getTime());
  for (const name of ["keystore.jks", "keystore.pkcs12"])
    createSecureContext({
      pfx: readFileSync(join(cwd, "keys", name)),
      passphrase: readFileSync(document.passwordFile, "utf8"),
    });

  const again = await json(cwd, "key", "tls");
  assert.equal(again.code, 1);
  assert.equal(again.document.error.code, "provision.exists");
  const same = new X509Certificate(readFileSync(join(cwd, "keys", "server.crt")));
  assert.equal(same.fingerprint256, crt.fingerprint256);

  const forced = await json(cwd, "key", "tls", "--force");
  assert.equal(forced.code, 0, forced.stdout);
  const other = new X509Certificate(readFileSync(join(cwd, "keys", "server.crt")));
  assert.notEqual(other.fingerprint256, crt.fingerprint256);
  assert.ok(other.checkHost("localhost") !== undefined);
});

test("T202: key files are the owner's alone, in a folder that git passes over", async (context) => {
  const before = process.umask(0);
  context.after(() => process.umask(before));
  const cwd = temporaryFolder(context);
  assert.equal((await runInProcess(["key", "tls"], { cwd })).code, 0);
  assert.equal((await runInProcess(["key", "enclave"], { cwd })).code, 0);
  assert.equal((await runInProcess(["key", "password"], { cwd })).code, 0);
  assert.equal(modeOf(join(cwd, "keys")), "700");
  for (const name of readdirSync(join(cwd, "keys")))
    assert.equal(modeOf(join(cwd, "keys", name)), "600");
  for (const name of ["enclave-key.pem", "password"]) assert.equal(modeOf(join(cwd, name)), "600");
  assert.equal(readFileSync(join(cwd, "keys", ".gitignore"), "utf8"), "*\n");
});

test("T200: no command line takes a password or a key; the environment is not looked at", async (context) => {
  const cwd = temporaryFolder(context);
  for (const command of ["tls", "password", "enclave"])
    for (const flag of ["--password", "--passphrase", "--storepass", "--key"]) {
      const run = await runInProcess(["key", command, flag, GOOD], { cwd });
      assert.equal(run.code, 2, `${command} ${flag}`);
      assert.ok(!said(run).includes(GOOD), "a refused command line is not printed again");
    }
  const env = { PASSWORD: GOOD, PPML_PASSWORD: GOOD, PPML_PASSPHRASE: GOOD };
  const run = await ppml(["key", "tls"], { cwd, env });
  assert.equal(run.code, 0, run.stderr);
  assert.notEqual(readFileSync(join(cwd, "keys", "password"), "utf8"), GOOD);
});

test("T201: neither password nor key is in output, talk or errors", async (context) => {
  const cwd = temporaryFolder(context);
  const runs = [
    await ppml(["key", "tls"], { cwd, env: { PPML_DEBUG: "1" } }),
    await ppml(["key", "tls"], { cwd, env: { PPML_DEBUG: "1" } }),
    await ppml(["key", "enclave", "--json"], { cwd }),
    await ppml(["key", "enclave"], { cwd }),
    await ppml(["key", "password", "--json"], { cwd }),
    await ppml(["key", "password", "--check", "--password-file", "keys/password"], { cwd }),
  ];
  assert.deepEqual(
    runs.map((run) => run.code),
    [0, 1, 0, 1, 0, 0],
  );
  const secrets = [
    ...secretsIn(cwd),
    readFileSync(join(cwd, "enclave-key.pem"), "utf8").split("\n")[1] ?? "",
    readFileSync(join(cwd, "password"), "utf8"),
  ];
  for (const run of runs)
    for (const secret of secrets) {
      assert.ok(secret.length >= 32);
      assert.ok(!said(run).includes(secret));
    }
});

test("a given password opens the keystores and is not kept", async (context) => {
  const cwd = temporaryFolder(context);
  const file = secretFile(cwd, `${GOOD}\n`);
  const { code, document } = await json(cwd, "key", "tls", "--password-file", file);
  assert.equal(code, 0);
  assert.equal(document.passwordFile, null);
  assert.ok(!existsSync(join(cwd, "keys", "password")));
  const pfx = readFileSync(join(cwd, "keys", "keystore.jks"));
  createSecureContext({ pfx, passphrase: GOOD });
  assert.throws(() => createSecureContext({ pfx, passphrase: `${GOOD}\n` }), /mac verify failure/);
});

test("the folder's own password is kept when the folder is made anew with it", async (context) => {
  const cwd = temporaryFolder(context);
  await json(cwd, "key", "tls");
  const password = readFileSync(join(cwd, "keys", "password"), "utf8");
  const args = ["key", "tls", "--force", "--password-file", "keys/password"];
  assert.equal((await json(cwd, ...args)).code, 0);
  assert.equal(readFileSync(join(cwd, "keys", "password"), "utf8"), password);
});

test("T208: a password that others may read, that is weak by the rule, or that is not there is refused", async (context) => {
  const cwd = temporaryFolder(context);
  for (const [file, code] of [
    [secretFile(cwd, GOOD, 0o640), "provision.password"],
    [secretFile(cwd, "short1"), "provision.password"],
    [secretFile(cwd, "3456abcd"), "provision.password"],
    [secretFile(cwd, "pässwörter 1"), "provision.password"],
    [join(cwd, "nothing"), "provision.password"],
  ] as const) {
    const run = await json(cwd, "key", "tls", "--password-file", file);
    assert.equal(run.code, 1);
    assert.equal(run.document.error.code, code);
    assert.ok(!existsSync(join(cwd, "keys")));
  }
});

test("a weak password that keeps the rule is used, with a warning; so is a long validity", async (context) => {
  const cwd = temporaryFolder(context);
  const file = secretFile(cwd, "abc12345");
  const args = ["key", "tls", "--password-file", file, "--days", "399"];
  const run = await runInProcess(args, { cwd });
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stderr, /Browsers refuse certificates of more than 398 days\./);
  assert.match(
    run.stderr,
    /The password has at the most \d\d bits: whoever has a keystore can find/,
  );
});

test("key enclave makes one PEM file and says its MRSIGNER; never over another without --force", async (context) => {
  const cwd = temporaryFolder(context);
  const first = await json(cwd, "key", "enclave", "--out", "signer.pem");
  assert.match(first.document.mrSigner, /^[0-9a-f]{64}$/);
  assert.match(
    readFileSync(join(cwd, "signer.pem"), "latin1"),
    /^-----BEGIN RSA PRIVATE KEY-----\n/,
  );
  const again = await json(cwd, "key", "enclave", "--out", "signer.pem");
  assert.equal(again.document.error.code, "provision.exists");
  const forced = await json(cwd, "key", "enclave", "--out", "signer.pem", "--force");
  assert.notEqual(forced.document.mrSigner, first.document.mrSigner);
});

test("key password: a file, or stdout and nothing else, of the length asked for", async (context) => {
  const cwd = temporaryFolder(context);
  const { document } = await json(cwd, "key", "password", "--characters", "40");
  assert.match(readFileSync(join(cwd, "password"), "utf8"), /^[A-Za-z0-9]{40}$/);
  assert.equal(document.bitsAtMost <= 238 && document.bitsAtMost > 100, true);
  assert.equal((await json(cwd, "key", "password")).document.error.code, "provision.exists");
  const printed = await runInProcess(["key", "password", "--stdout"], { cwd });
  assert.match(printed.stdout, /^[A-Za-z0-9]{32}\n$/);
  assert.equal(printed.stderr, "");
});

test("key password --check says whether the rule is kept, and the strength", async (context) => {
  const cwd = temporaryFolder(context);
  const check = (text: string) =>
    json(cwd, "key", "password", "--check", "--password-file", secretFile(cwd, text));
  const good = await check(GOOD);
  assert.equal(good.code, 0);
  assert.equal(good.document.fault, null);
  assert.equal(good.document.strength, "strong");
  const bad = await check("onlyletters");
  assert.equal(bad.code, 1);
  assert.equal(bad.document.meetsRule, false);
  assert.match(bad.document.fault, /no digit/);
  const file = secretFile(cwd, "k7Qz9mXw2R");
  const run = await runInProcess(["key", "password", "--check", "--password-file", file], { cwd });
  assert.equal(
    run.stdout,
    "ok: it keeps the rule.\nAt the most 59 bits (weak), if it was drawn at random. Whoever has a keystore can find it.\n" +
      "Words, names and dates are found sooner than this says: it knows no dictionary.\n",
  );
});

test("without a terminal, a password that has to be asked for says which flag gives it", async (context) => {
  const cwd = temporaryFolder(context);
  for (const args of [
    ["key", "password", "--check"],
    ["key", "tls", "--ask-password"],
  ]) {
    const run = await ppml(args, { cwd });
    assert.equal(run.code, 1);
    assert.match(run.stderr, /give the password with --password-file FILE, or fd:N/);
  }
});

test("flags that exclude each other are usage errors", async (context) => {
  const cwd = temporaryFolder(context);
  for (const args of [
    ["password", "--check", "--out", "x"],
    ["password", "--check", "--stdout"],
    ["password", "--password-file", "x"],
    ["password", "--stdout", "--out", "x"],
    ["password", "--stdout", "--json"],
    ["tls", "--ask-password", "--password-file", "x"],
    ["tls", "--days", "0"],
    ["tls", "--days", "3651"],
    ["password", "--characters", "19"],
  ])
    assert.equal((await runInProcess(["key", ...args], { cwd })).code, 2, args.join(" "));
  assert.deepEqual(readdirSync(cwd), []);
});
