import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { toHex } from "../../../src/base/index.ts";
import { measureImage } from "../../../src/launch/sim/image.ts";
import { planImage } from "../../../src/launch/sim/image-plan.ts";
import { IMAGE_ENTRIES, withoutFor } from "../../../src/cli/tee-image.ts";
import { config, copyRoot, makeClone, makeRoot } from "./fixture.ts";

const roots: string[] = [];
after(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })));

function keep(root: string): string {
  roots.push(root);
  return root;
}

const clone = keep(makeClone());
const ENTRIES = ["launch/main.ts", "worker/main.ts"];

async function measure(
  root: string,
  options: { entries?: readonly string[]; config?: Uint8Array } = {},
): Promise<string> {
  const image = await measureImage({
    imageRoot: root,
    entries: options.entries ?? ENTRIES,
    config: options.config ?? config,
    nodeBinary: join(root, "bin/node"),
  });
  assert.equal(image.measurement.byteLength, 48);
  return toHex(image.measurement);
}

const baseline = await measure(clone);

/** The measurement of a copy of the clone after a change. */
async function measureChanged(change: (root: string) => void): Promise<string> {
  const root = keep(copyRoot(clone));
  change(root);
  return measure(root);
}

test("an image is the modules that the entries reach, their packages whole, and Node", () => {
  const plan = planImage({
    imageRoot: clone,
    entries: ENTRIES,
    nodeBinary: join(clone, "bin/node"),
  });
  assert.deepEqual(plan.files.map(({ path }) => path).sort(), [
    "node",
    "node_modules/@scope/beta/deep.js",
    "node_modules/@scope/beta/package.json",
    "node_modules/alpha/index.js",
    "node_modules/alpha/node_modules/gamma/lib/index.js",
    "node_modules/alpha/node_modules/gamma/package.json",
    "node_modules/alpha/package.json",
    "node_modules/native/package.json",
    "node_modules/native/x.node",
    "package.json",
    "src/launch/a.ts",
    "src/launch/asset.json",
    "src/launch/lazy.ts",
    "src/launch/main.ts",
    "src/launch/star.ts",
    "src/lib/b.ts",
    "src/worker/main.ts",
  ]);
  assert.deepEqual(plan.entryPaths, ["src/launch/main.ts", "src/worker/main.ts"]);
});

test("the TEE's image holds no code that keeps KEKs, opens vaults or decides on a release", () => {
  const plan = planImage({
    imageRoot: join(import.meta.dirname, "../../.."),
    entries: IMAGE_ENTRIES,
    without: withoutFor(true),
  });
  const modules = plan.files.map(({ path }) => path).filter((path) => path.startsWith("src/"));
  assert.deepEqual(
    modules.filter((path) => /^src\/(?:key|broker|release|cli)\//.test(path)).sort(),
    ["src/key/public-key.ts", "src/key/wrap.ts"],
  );
});

test("in an installed package the image is its .js files, and packages beside it are found", () => {
  const root = keep(
    makeRoot({
      "node_modules/ppml/dist/launch/main.js": 'import "../lib.js";\nimport "alpha";\n',
      "node_modules/ppml/dist/lib.js": "1;\n",
      "node_modules/alpha/package.json": "{}",
      "node_modules/alpha/index.js": "1;\n",
    }),
  );
  const plan = planImage({
    imageRoot: join(root, "node_modules/ppml"),
    entries: ["launch/main.ts"],
  });
  assert.deepEqual(plan.entryPaths, ["dist/launch/main.js"]);
  assert.deepEqual(plan.files.map(({ path }) => path).sort(), [
    "dist/launch/main.js",
    "dist/lib.js",
    "node",
    "node_modules/alpha/index.js",
    "node_modules/alpha/package.json",
    "package.json",
  ]);
});

test("one changed byte in any file of the image changes the measurement", async () => {
  const plan = planImage({
    imageRoot: clone,
    entries: ENTRIES,
    nodeBinary: join(clone, "bin/node"),
  });
  const seen = new Set([baseline]);
  const sources = plan.files.flatMap(({ from }) => ("file" in from ? [from.file] : []));
  for (const file of sources) {
    const value = await measureChanged((root) => {
      const path = join(root, file.slice(clone.length));
      const bytes = readFileSync(path);
      // A blank or a line end more keeps modules and JSON valid.
      writeFileSync(path, Buffer.concat([bytes, Buffer.from(" ")]));
    });
    assert.ok(!seen.has(value), file);
    seen.add(value);
  }
  assert.equal(seen.size, sources.length + 1);
});

describe("the measurement changes", () => {
  const cases: readonly (readonly [string, (root: string) => void])[] = [
    [
      "with one bit of the Node binary",
      (root) => writeFileSync(join(root, "bin/node"), "a stand-in for Nodd\n"),
    ],
    [
      "with a renamed file of a package",
      (root) =>
        renameSync(
          join(root, "node_modules/native/x.node"),
          join(root, "node_modules/native/y.node"),
        ),
    ],
    [
      "with the contents of two files swapped",
      (root) => {
        const [a, b] = ["node_modules/alpha/index.js", "node_modules/@scope/beta/deep.js"].map(
          (path) => join(root, path),
        ) as [string, string];
        const [textA, textB] = [readFileSync(a), readFileSync(b)];
        writeFileSync(a, textB);
        writeFileSync(b, textA);
      },
    ],
    ["with an x bit set", (root) => chmodSync(join(root, "src/lib/b.ts"), 0o755)],
    ["with an x bit taken", (root) => chmodSync(join(root, "bin/node"), 0o644)],
    [
      "with a new file in a package",
      (root) => makeRoot({ "node_modules/alpha/more.js": "" }, root),
    ],
  ];
  for (const [what, change] of cases)
    test(what, async () => assert.notEqual(await measureChanged(change), baseline));

  test("with one byte of the configuration", async () => {
    assert.notEqual(
      await measure(clone, { config: new TextEncoder().encode('{"v":2}') }),
      baseline,
    );
  });

  test("with another entry to boot, the files being the same", async () => {
    assert.notEqual(await measure(clone, { entries: ENTRIES.toReversed() }), baseline);
  });

  test("with bytes moved from the end of one file to the beginning of the next", async () => {
    const values = [];
    for (const [first, second] of [
      ["1;2;", ""],
      ["1;", "2;"],
    ] as const)
      values.push(
        await measureChanged((root) => {
          makeRoot({ "node_modules/alpha/p.js": first, "node_modules/alpha/q.js": second }, root);
        }),
      );
    assert.notEqual(values[0], values[1]);
  });
});

describe("the measurement does not change", () => {
  test("by where the clone lies, or by who else has it", async () => {
    assert.equal(await measureChanged(() => {}), baseline);
  });

  test("by a file's times, or by mode bits other than x", async () => {
    const value = await measureChanged((root) => {
      utimesSync(join(root, "src/lib/b.ts"), 1, 1);
      chmodSync(join(root, "src/lib/b.ts"), 0o600);
    });
    assert.equal(value, baseline);
  });

  test("by files that nothing reaches: other modules, packages, types, texts", async () => {
    const value = await measureChanged((root) => {
      makeRoot(
        {
          "src/launch/unreached.ts": "changed",
          "node_modules/unused/index.js": "changed",
          "node_modules/alpha/README.md": "changed",
          "node_modules/alpha/index.d.ts": "changed",
        },
        root,
      );
    });
    assert.equal(value, baseline);
  });
});

describe("an image is refused", () => {
  test("where an imported module is missing or outside", async () => {
    await refuses((root) => rmSync(join(root, "src/lib/b.ts")), /b\.ts is imported/);
    await refuses(
      (root) => makeRoot({ "src/lib/b.ts": 'import "../../bin/x.ts";\n' }, root),
      /outside src/,
    );
  });

  test("where a module or its folder is a symbolic link", async () => {
    await refuses((root) => {
      renameSync(join(root, "src/lib/b.ts"), join(root, "elsewhere.ts"));
      symlinkSync(join(root, "elsewhere.ts"), join(root, "src/lib/b.ts"));
    }, /not a plain file/);
    await refuses((root) => {
      renameSync(join(root, "src/lib"), join(root, "elsewhere"));
      symlinkSync(join(root, "elsewhere"), join(root, "src/lib"));
    }, /not a plain file/);
  });

  test("where a package holds a symbolic link", async () => {
    await refuses(
      (root) => symlinkSync("/etc/hostname", join(root, "node_modules/alpha/link.js")),
      /is a link or a special file/,
    );
  });

  test("where a package is not installed, has a hostile name or unreadable JSON", async () => {
    await refuses(
      (root) => rmSync(join(root, "node_modules/alpha"), { recursive: true }),
      /package alpha.*is not installed/,
    );
    await refuses(
      (root) =>
        makeRoot({ "node_modules/alpha/package.json": '{"dependencies":{"../x":"1"}}' }, root),
      /"\.\.\/x" is not the name/,
    );
    await refuses(
      (root) => makeRoot({ "node_modules/alpha/package.json": "{" }, root),
      /not readable JSON/,
    );
  });

  test("where an entry does not exist or climbs out", async () => {
    await assert.rejects(measure(clone, { entries: ["launch/none.ts"] }), { code: "launch.image" });
    await assert.rejects(measure(clone, { entries: ["../src/launch/main.ts"] }), {
      code: "launch.image",
    });
    await assert.rejects(measure(clone, { entries: [] }), { code: "launch.image" });
  });

  test("where two versions of a package would lie at the same place", async () => {
    const root = keep(copyRoot(clone));
    const inner = join(root, "inner");
    cpSync(clone, inner, { recursive: true });
    rmSync(join(inner, "node_modules/native"), { recursive: true });
    makeRoot(
      {
        "inner/node_modules/@scope/beta/package.json":
          '{"dependencies":{"unused":"1","native":"1"}}',
        "node_modules/native/package.json": '{"dependencies":{"unused":"2"}}',
      },
      root,
    );
    await assert.rejects(measure(inner), {
      code: "launch.image",
      message: /two versions of unused/,
    });
  });
});

async function refuses(change: (root: string) => void, message: RegExp): Promise<void> {
  await assert.rejects(measureChanged(change), { code: "launch.image", message });
}
