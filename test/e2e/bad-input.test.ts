import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, beforeEach, describe, test } from "node:test";
import { createRootKeyFile } from "../../src/key/index.ts";
import { makeScratch, writeParquet } from "../compute/fixture.ts";
import { type Run, runInProcess } from "../cli/ppml.ts";
import { filesBelow, pictureOf } from "./project.ts";
import type { TestProject } from "./project.ts";
import { makeTwoDatasets } from "./two-datasets.ts";

const MIB = 1_048_576;

const scratch = makeScratch();
let project: TestProject;
let kept: string;
const at = (...parts: readonly string[]): string => join(project.root, ...parts);

before(async () => {
  project = await makeTwoDatasets(scratch.path);
  kept = join(scratch.path, "kept");
  cpSync(at("sealed"), kept, { recursive: true });
});
after(() => {
  scratch[Symbol.dispose]();
});
beforeEach(() => {
  rmSync(at("sealed"), { recursive: true, force: true });
  cpSync(kept, at("sealed"), { recursive: true });
  rmSync(at("out"), { recursive: true, force: true });
});

/** Runs a command that has to work. */
async function must(...args: readonly string[]): Promise<Run> {
  const done = await runInProcess(args, { cwd: project.root });
  assert.equal(done.code, 0, `${args.join(" ")}: ${done.stdout}${done.stderr}`);
  return done;
}

/** What the refusals of a test said. */
let told: string[] = [];

/** Runs a command that has to be refused with one clear error; gives its code. */
async function refused(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runInProcess([...args, "--json"], { cwd: project.root });
  assert.equal(code, 1, `${args.join(" ")}: ${stdout}${stderr}`);
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  assert.ok(error.message.length > 20 && !/\n {4}at /.test(stdout + stderr), stdout);
  assert.notEqual(error.code, "base.internal", error.message);
  told.push(error.message);
  return error.code;
}

/** That neither a job nor the owner opens the dataset, and that nothing is written. */
async function refusedEverywhere(dataset: "tables" | "words", code: RegExp): Promise<void> {
  const stored = pictureOf(at("sealed"));
  assert.match(await refused("run", dataset === "tables" ? "total" : "count"), code);
  assert.match(await refused("data", "open", dataset, "--out", "out"), code);
  assert.deepEqual(pictureOf(at("out")), {}, "nothing is written out");
  assert.deepEqual(pictureOf(at("sealed")), stored, "nothing is written into the stores");
}

function edit(path: string, change: (bytes: Buffer) => Uint8Array): void {
  writeFileSync(path, change(readFileSync(path)));
}

const flipAt =
  (offset: number) =>
  (bytes: Buffer): Uint8Array => {
    const index = offset < 0 ? bytes.length + offset : offset;
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    return bytes;
  };

const table = (name: string): string => at("sealed", "tables", "v1", `${name}.parquet`);
const file = (name: string): string => at("sealed", "words", "v1", `${name}.csv`);

test("T122: a file planted in the folder of a higher version is never read, and nobody is refused", async () => {
  mkdirSync(at("sealed", "tables", "v9"));
  writeFileSync(at("sealed", "tables", "v9", "a.parquet"), "planted");
  copyFileSync(table("a"), at("sealed", "tables", "v9", "b.parquet"));
  await must("data", "open", "tables", "--out", "out");
  assert.deepEqual(readdirSync(at("out")).sort(), ["a.parquet", "b.parquet"]);
  assert.ok(!readFileSync(at("out", "a.parquet")).includes("planted"));
  await must("run", "total");
  const { stdout } = await must("data", "open", "answers", "--json");
  // Two tables of 2000 rows, each the sum of i + 2 i.
  assert.match(stdout, new RegExp(String(2 * 3 * ((1999 * 2000) / 2))));
});

type Attack = readonly [
  what: string,
  dataset: "tables" | "words",
  code: RegExp,
  change: () => void,
];

const ATTACKS: readonly Attack[] = [
  ["a cut file", "words", /^open\.manifest$/, () => truncateSync(file("b"), 2 * MIB)],
  [
    "a flipped bit of a table's page",
    "tables",
    /^open\.not_authentic$/,
    () => {
      edit(table("b"), flipAt(200));
    },
  ],
  [
    "a flipped bit of a file's last segment",
    "words",
    /^open\.not_authentic$/,
    () => {
      edit(file("b"), flipAt(-20));
    },
  ],
  [
    "reordered segments of a file",
    "words",
    /^open\.not_authentic$/,
    () => {
      edit(file("b"), (bytes) => {
        const [first, second] = [1, 2].map((index) =>
          Buffer.from(bytes.subarray(index * MIB, (index + 1) * MIB)),
        );
        second?.copy(bytes, MIB);
        first?.copy(bytes, 2 * MIB);
        return bytes;
      });
    },
  ],
  [
    "swapped tables",
    "tables",
    /^open\.manifest$/,
    () => {
      swap(table("a"), table("b"));
    },
  ],
  [
    "an added table",
    "tables",
    /^open\.manifest$/,
    () => {
      copyFileSync(table("a"), table("c"));
    },
  ],
  [
    "a missing file",
    "words",
    /^open\.manifest$/,
    () => {
      rmSync(file("a"));
    },
  ],
  [
    "a renamed table",
    "tables",
    /^open\.manifest$/,
    () => {
      renameSync(table("a"), table("z"));
    },
  ],
  [
    "a plaintext Parquet file in a table's place",
    "tables",
    /^open\.plaintext$/,
    () => {
      copyFileSync(at("data", "tables", "a.parquet"), table("a"));
    },
  ],
  [
    "a plaintext file in a sealed one's place",
    "words",
    /^open\.plaintext$/,
    () => {
      copyFileSync(at("data", "words", "a.csv"), file("a"));
    },
  ],
  [
    "a manifest that is no JSON, or too deep",
    "tables",
    /^format\.(?:invalid|too_large)$/,
    () => {
      writeFileSync(at("sealed", "tables", "manifest.json"), "[".repeat(100_000));
    },
  ],
  [
    "a manifest changed after it was signed",
    "tables",
    /^format\.signature$/,
    () => {
      editManifest("tables", (manifest) => ({ ...manifest, name: "other" }));
    },
  ],
  [
    "a wrapped key pasted under another column group's KEK",
    "tables",
    /^key\.unwrap_failed$/,
    () => {
      editManifest("tables", (manifest) => {
        const [first, second] = manifest.localKeys;
        return { ...manifest, localKeys: [{ ...first, wrapped: second?.["wrapped"] }, second] };
      });
    },
  ],
];

function swap(one: string, other: string): void {
  renameSync(one, `${one}.x`);
  renameSync(other, one);
  renameSync(`${one}.x`, other);
}

type LooseManifest = { readonly localKeys: readonly Record<string, unknown>[] };

/** Changes the signed content and leaves the signature: the payload stays in its canonical form. */
function editManifest(dataset: string, change: (manifest: LooseManifest) => unknown): void {
  const path = at("sealed", dataset, "manifest.json");
  const envelope = JSON.parse(readFileSync(path, "utf8")) as { payload: string };
  const manifest = JSON.parse(Buffer.from(envelope.payload, "base64").toString()) as LooseManifest;
  const changed = change(manifest) as Record<string, unknown>;
  const payload = Buffer.from(JSON.stringify(changed)).toString("base64");
  writeFileSync(path, JSON.stringify({ ...envelope, payload }));
}

/** What a user meets at the command line; every other change of bytes is tried where it is refused. */
describe("stored files that were changed", () => {
  test("untouched, the job runs and the owner opens", async () => {
    await must("run", "total");
    await must("run", "count");
    await must("data", "open", "tables", "--out", "out");
    await must("data", "open", "words", "--out", "out");
    assert.deepEqual(readdirSync(at("out")).sort(), ["a.csv", "a.parquet", "b.csv", "b.parquet"]);
    copyFileSync(at("data", "tables", "a.parquet"), table("a"));
    assert.equal(await refused("data", "open", "tables"), "open.plaintext");
    for (const name of ["a.csv", "b.csv"])
      assert.deepEqual(readFileSync(at("out", name)), readFileSync(at("data", "words", name)));
  });

  for (const [what, dataset, code, change] of ATTACKS)
    test(`${what}: job and owner are refused, and nothing is written`, async () => {
      told = [];
      change();
      await refusedEverywhere(dataset, code);
      // Of a key that does not unwrap, only the place where it lies helps: job and owner are told.
      if (code.test("key.unwrap_failed"))
        for (const message of told) assert.match(message, /stored manifest of tables holds/);
    });

  test("a dataset put back to an older version is refused, and nothing is written", async () => {
    await must("data", "seal", "words");
    rmSync(at("sealed", "words"), { recursive: true });
    cpSync(join(kept, "words"), at("sealed", "words"), { recursive: true });
    await refusedEverywhere("words", /^open\.rolled_back$/);
    // Sealing again is the way out: its version is above the one that the broker knows.
    await must("data", "seal", "words");
    await must("data", "verify", "words");
    rmSync(join(kept, "words"), { recursive: true });
    cpSync(at("sealed", "words"), join(kept, "words"), { recursive: true });
  });
});

describe("keys and vaults that are not the right ones", () => {
  test("a disabled KEK: job and owner are refused until it is enabled again", async () => {
    await must("key", "disable", "sensitive");
    try {
      await refusedEverywhere("tables", /^key\.disabled$/);
      assert.equal(await refused("data", "seal", "tables"), "key.disabled");
    } finally {
      await must("key", "enable", "sensitive");
    }
    await must("run", "total");
  });

  test("another root key: nothing opens, and nothing is written", async () => {
    const path = at(".ppml", "root.key");
    renameSync(path, `${path}.kept`);
    try {
      await createRootKeyFile({ path });
      await refusedEverywhere("tables", /^key\.vault_locked$/);
      writeFileSync(path, "not a root key\n", { mode: 0o600 });
      await refusedEverywhere("tables", /^key\.vault_locked$/);
    } finally {
      renameSync(`${path}.kept`, path);
    }
  });

  test("a vault of the other mode: nothing opens, and nothing is written", async () => {
    const yaml = readFileSync(at("ppml.yaml"), "utf8");
    const production = yaml
      .replace(/^mode: simulation.*$/m, "mode: production")
      .replace(/^simulation:\n.*\n/m, "");
    assert.notEqual(production, yaml);
    writeFileSync(at("ppml.yaml"), production);
    try {
      await refusedEverywhere("tables", /^(?:key\.vault_mode|config\.[a-z_]+)$/);
      assert.equal(await refused("data", "open", "tables"), "key.vault_mode");
    } finally {
      writeFileSync(at("ppml.yaml"), yaml);
    }
  });

  test("a broker's database that was changed: nothing is released", async () => {
    const folder = at(".ppml", "broker");
    const copy = join(scratch.path, "broker");
    cpSync(folder, copy, { recursive: true });
    const putBack = (): void => {
      rmSync(folder, { recursive: true, force: true });
      cpSync(copy, folder, { recursive: true });
      chmodSync(folder, 0o700);
    };
    try {
      for (const sql of [
        "UPDATE floors SET version = version + 1",
        "DELETE FROM nonces; DELETE FROM releases",
        "UPDATE policies SET version = 0",
      ]) {
        const db = new DatabaseSync(join(folder, "broker.db"));
        db.exec(sql);
        db.close();
        assert.equal(await refused("data", "open", "tables"), "broker.state");
        putBack();
      }
    } finally {
      putBack();
    }
  });
});

describe("sealing and opening that is cut off by an error", () => {
  test("a bad second input: nothing of the new version stays, and the old one is readable", async () => {
    const path = at("data", "tables", "b.parquet");
    const good = readFileSync(path);
    const stored = pictureOf(at("sealed", "tables"));
    try {
      // Parquet at both ends and in between nothing of use: huge footer, cut footer, cut pages.
      for (const change of [
        (bytes: Buffer) => (bytes.writeUInt32LE(0x7fff_fff0, bytes.length - 8), bytes),
        (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 200), bytes.subarray(-12)]),
        (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), bytes.subarray(400)]),
      ]) {
        writeFileSync(path, change(Buffer.from(good)));
        assert.match(await refused("data", "seal", "tables"), /^(?:format|seal)\.[a-z_]+$/);
        assert.deepEqual(pictureOf(at("sealed", "tables")), stored);
      }
      await must("data", "open", "tables");
    } finally {
      writeFileSync(path, good);
    }
  });

  test("tables whose columns differ: nothing of the new version stays", async () => {
    const path = at("data", "tables", "b.parquet");
    const good = readFileSync(path);
    const stored = pictureOf(at("sealed", "tables"));
    try {
      await writeParquet(path, "SELECT 'x' AS id, 1 AS pay");
      assert.equal(await refused("data", "seal", "tables"), "seal.input");
      assert.deepEqual(pictureOf(at("sealed", "tables")), stored);
    } finally {
      writeFileSync(path, good);
    }
  });

  test("opening into a folder that has earlier files leaves them as they were where it fails", async () => {
    await must("data", "open", "words", "--out", "out");
    writeFileSync(at("out", "a.csv"), "mine\n");
    const mine = pictureOf(at("out"));
    const sealed = filesBelow(at("sealed", "words")).find((path) => path.endsWith("b.csv")) ?? "";
    edit(sealed, flipAt(-20));
    assert.equal(await refused("data", "open", "words", "--out", "out"), "open.not_authentic");
    assert.deepEqual(pictureOf(at("out")), mine);
  });

  test("a folder in a file's place is refused before anything is written", async () => {
    mkdirSync(at("out", "b.csv"), { recursive: true });
    assert.equal(await refused("data", "open", "words", "--out", "out"), "cli.exists");
    assert.deepEqual(pictureOf(at("out")), {});
  });
});
