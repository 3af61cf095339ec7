import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endedSilently } from "../../src/cli/run-job.ts";
import { makeScratch } from "../compute/fixture.ts";
import { runInProcess } from "./ppml.ts";

const scratch = makeScratch();
const cwd = scratch.path;
const at = (path: string): string => join(cwd, path);
before(async () => {
  for (const line of ["init --template people --rows 5", "data seal", "job sign developers"])
    assert.equal((await runInProcess(line.split(" "), { cwd })).code, 0, line);
});
after(() => {
  scratch[Symbol.dispose]();
});

/** That a command fails with that error's code, and tells what the pattern says. */
async function refused(line: string, code: string, told: RegExp): Promise<void> {
  const run = await runInProcess(line.split(" "), { cwd });
  assert.equal(run.code, 1, line);
  assert.match(run.stderr, new RegExp(`code: {2}${code.replace(".", "\\.")}`), line);
  assert.match(run.stderr, told, line);
}

/** Puts something in a path's place for as long as `check` runs. */
async function inPlaceOf(path: string, put: (kept: string) => void, check: () => Promise<void>) {
  const kept = at(`${path}.kept`);
  renameSync(at(path), kept);
  put(kept);
  await check();
  rmSync(at(path), { recursive: true, force: true });
  renameSync(kept, at(path));
}

const nothing = (): void => undefined;
const cut = (path: string) => (kept: string) => {
  writeFileSync(at(path), readFileSync(kept).subarray(0, -100));
};
const putFile = (): void => {
  writeFileSync(at("sealed/people"), "");
};
const usage = async (line: string) =>
  (await runInProcess([...line.split(" "), "--help"], { cwd })).stdout;

describe("messages say what is wrong, and what to do", () => {
  test("a signed job that cannot be read is not one that is not signed", async () => {
    await inPlaceOf(
      "jobs/developers.job.json",
      () => {
        mkdirSync(at("jobs/developers.job.json"));
      },
      () => refused("run developers", "launch.job", /cannot be read \(EISDIR.*ppml job sign/s),
    );
  });

  test("a receipt that cannot be read, and a missing key file, come with a remedy", async () => {
    await refused(
      "receipt verify none.json",
      "receipt.invalid",
      /no such file[\s\S]*ppml receipt list/,
    );
    await inPlaceOf(".ppml/owner.key", nothing, () =>
      refused("data seal", "key.vault_missing", /owner\.key[\s\S]*backup/),
    );
    await inPlaceOf(".ppml/root.key", nothing, () =>
      refused("key list", "key.vault_missing", /root\.key[\s\S]*backup/),
    );
  });

  test("a stored manifest that is not JSON is told with its dataset", async () => {
    await runInProcess("policy draft owner --grant people --force".split(" "), { cwd });
    await runInProcess("policy apply owner".split(" "), { cwd });
    await inPlaceOf(
      "sealed/people/manifest.json",
      () => {
        writeFileSync(at("sealed/people/manifest.json"), "{");
      },
      () => refused("data open people", "format.invalid", /manifest of people:.*not valid JSON/),
    );
  });

  test("a dataset's store that is a file is told as such", async () => {
    const told = /the store .*sealed\/people is a file, expected a folder/;
    await inPlaceOf("sealed/people", putFile, async () => {
      await refused("data seal", "store.name", told);
      await refused("data verify people", "store.name", told);
    });
  });

  test("an output store that cannot be written is told before any key is released", async () => {
    writeFileSync(at("sealed/developers"), "");
    await refused(
      "run developers",
      "store.name",
      /sealed\/developers is a file, expected a folder/,
    );
    rmSync(at("sealed/developers"));
    // Where it can be written, it goes on to the release, which no policy allows.
    await refused("run developers", "release.policy", /analysis/);
  });

  test("a TEE that is ended at its time limit is not told by its signal", () => {
    const killed = { exitCode: null, signal: "SIGKILL", stderr: "" } as const;
    const { code, message, detail } = endedSilently({ ...killed, timedOut: true }, 45);
    assert.equal(code, "compute.timeout");
    assert.match(message, /time limit of 45 s and 120 s more/);
    assert.match(
      String(detail["remedy"]),
      /limits\.timeoutSeconds in ppml\.yaml and sign it again/,
    );
    assert.match(endedSilently({ ...killed, timedOut: false }, 45).message, /SIGKILL/);
  });

  test("a query that can never run is refused before it is signed", async () => {
    const signed = readFileSync(at("jobs/developers.job.json"));
    const code = at("queries/developers.sql");
    const good = readFileSync(code);
    for (const [bytes, error, told] of [
      ["", "compute.not_a_query", /got no statement/],
      ["-- nothing\n;", "compute.not_a_query", /got no statement/],
      ["SELECT 1; SELECT 2", "compute.not_a_query", /got 2 statements/],
      ["COPY people TO '/tmp/people.csv'", "compute.not_a_query", /another kind.*one SELECT/],
      ["DELETE FROM people", "compute.not_a_query", /another kind/],
      ["SET threads = 1", "compute.not_a_query", /type SET/],
      ["SELEC name FROM people", "compute.sql", /does not parse/],
      [Buffer.from("53454cff", "hex"), "launch.job", /developers\.sql is not UTF-8/],
    ] as const) {
      writeFileSync(code, bytes);
      await refused("job sign developers", error, told);
    }
    for (const query of ["WITH a AS (FROM people) SELECT age FROM a;", "SUMMARIZE people"]) {
      writeFileSync(code, query);
      assert.equal((await runInProcess("job sign developers".split(" "), { cwd })).code, 0, query);
    }
    writeFileSync(code, good);
    writeFileSync(at("jobs/developers.job.json"), signed);
    const adHoc = ["sql", "DROP TABLE people", "--policy", "analysis", "--output", "developers"];
    const run = await runInProcess([...adHoc, "--purpose", "a test"], { cwd });
    assert.match(run.stderr, /compute\.not_a_query/);
  });

  test("a cut job or policy is told with its file and what to do", async () => {
    const job = "jobs/developers.job.json";
    await inPlaceOf(job, cut(job), () =>
      refused(
        "run developers",
        "format.invalid",
        /developers\.job\.json[^]*try: .*ppml job sign dev/,
      ),
    );
    const policy = "policies/owner.json";
    const drafted = await runInProcess("policy draft owner --force".split(" "), { cwd });
    assert.equal(drafted.code, 0);
    await inPlaceOf(policy, cut(policy), () =>
      refused(
        "policy apply owner",
        "format.invalid",
        /owner\.json[^]*try: .*ppml policy draft owner --force/,
      ),
    );
  });

  test("key show names a version as jobs and policies do, too", async () => {
    const { stdout } = await runInProcess("job show developers --json".split(" "), { cwd });
    const { job } = JSON.parse(stdout) as { job: { output: { kekThumbprint: string } } };
    const { kekThumbprint } = job.output;
    assert.ok(
      (await runInProcess("key show results".split(" "), { cwd })).stdout.includes(kekThumbprint),
    );
    const shown = await runInProcess("key show results --json".split(" "), { cwd });
    assert.match(
      shown.stdout,
      new RegExp(`"thumbprints": \\{\\s+"[0-9a-f]{32}": "${kekThumbprint}"`),
    );
  });

  test("help shows arguments that may be left out in brackets", async () => {
    assert.match(await usage("data seal"), /\[<DATASET>\.\.\.\]\n/);
    assert.match(await usage("init"), /\[<\w+>\]\n/);
    assert.match(await usage("data open"), / <DATASET>\n/);
  });

  test("a KEK's name may not begin with a hyphen", async () => {
    await refused("key create -- -x", "key.not_permitted", /not beginning with a hyphen/);
  });

  test("sealing again leaves no empty folder of an old version", async () => {
    assert.equal((await runInProcess(["data", "seal"], { cwd })).code, 0);
    const folders = readdirSync(at("sealed/people")).filter((name) => /^v\d+$/.test(name));
    assert.equal(folders.length, 1);
    assert.ok(!existsSync(at("sealed/people/v1")));
  });
});

describe("T127: keys and state that others may have changed or read are refused", () => {
  for (const [path, right, wrong, line, code] of [
    [".ppml", 0o700, 0o755, "key list", "key.vault_io"],
    [".ppml/vault.db", 0o600, 0o644, "key list", "key.vault_io"],
    [".ppml/root.key", 0o600, 0o640, "key list", "key.vault_io"],
    [".ppml/owner.key", 0o600, 0o604, "data seal", "key.vault_io"],
    [".ppml/broker", 0o700, 0o750, "data seal", "broker.state"],
  ] as const)
    test(`${path} of mode ${wrong.toString(8)}`, async () => {
      chmodSync(at(path), wrong);
      await refused(line, code, new RegExp(`chmod ${right.toString(8)} '.*${path}'`));
      chmodSync(at(path), right);
      assert.equal((await runInProcess(line.split(" "), { cwd })).code, 0);
    });

  for (const path of [".ppml/vault.db", ".ppml/root.key", ".ppml"])
    test(`${path} as a symbolic link`, async () => {
      await inPlaceOf(
        path,
        (kept) => {
          symlinkSync(kept, at(path));
        },
        () => refused("key list", "key.vault_io", /link/),
      );
    });
});

test("a broker's state that is put back is refused until the owner says that it was on purpose", async () => {
  const older = at("older-broker");
  cpSync(at(".ppml/broker"), older, { recursive: true });
  assert.equal((await runInProcess(["data", "seal"], { cwd })).code, 0);
  rmSync(at(".ppml/broker"), { recursive: true });
  cpSync(older, at(".ppml/broker"), { recursive: true });
  chmodSync(at(".ppml/broker"), 0o700);
  await refused(
    "data seal",
    "broker.state",
    /older copy was put in its place.*audit accept --yes/s,
  );
  assert.equal((await runInProcess(["audit", "accept"], { cwd })).code, 2);
  const accepted = await runInProcess(["audit", "accept", "--yes", "--json"], { cwd });
  const { entries, entriesBefore } = JSON.parse(accepted.stdout) as Record<string, number>;
  assert.equal(entriesBefore, (entries ?? 0) + 1);
  assert.equal((await runInProcess(["data", "seal"], { cwd })).code, 0);
});
