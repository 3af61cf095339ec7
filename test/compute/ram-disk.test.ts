import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { isPpmlError, utf8 } from "../../src/base/index.ts";
import { makeRamDisk } from "../../src/compute/ram-disk.ts";
import type { Ran } from "../../src/compute/run-command.ts";
import { isolationNotice, makeWorkDirectory } from "../../src/compute/work-directory.ts";
import { openMemoryFile } from "../../src/compute/sql/memory-file.ts";
import { makeScratch } from "./fixture.ts";

const scratch = makeScratch();
after(() => {
  scratch[Symbol.dispose]();
});
const MIB = 1024 * 1024;
const done: Ran = { status: 0, stdout: "" };
const attached: Ran = { status: 0, stdout: "/dev/disk7          \t         \t\n" };
let folders = 0;

/** A Mac whose programs only say what they were asked; answers by program and first argument. */
function fakeMac(answers: Readonly<Record<string, Ran>> = {}, alive: readonly number[] = []) {
  folders += 1;
  const parent = join(scratch.path, `mac-${folders}`);
  mkdirSync(parent);
  const ran: string[] = [];
  return {
    parent,
    ran,
    place: {
      parent,
      pid: 4242,
      isAlive: (pid: number) => alive.includes(pid),
      run: (file: string, args: readonly string[]): Ran => {
        ran.push(
          [file, ...args]
            .join(" ")
            .replaceAll(parent, "TMP")
            .replace(/ppml-ram-\w{6}/g, "X"),
        );
        const short = `${file.split("/").at(-1) ?? ""} ${args[0] ?? ""}`;
        const forced = args.includes("-force") ? answers[`${short} -force`] : undefined;
        return forced ?? answers[short] ?? (short === "hdiutil attach" ? attached : done);
      },
    },
  };
}

/** What hdiutil info prints of one image. */
const info = (image: string, device: string, mount: string): Ran => ({
  status: 0,
  stdout: `framework       : 683\ndriver          : 10.0\n${"=".repeat(48)}\nimage-path      : /Users/a/other.dmg\n/dev/disk9\tGUID_partition_scheme\t\n${"=".repeat(48)}\nimage-path      : ${image}\nimage-alias     : ${image}\nowner-mode      : -rw-------\n${device}\t\t${mount}\n`,
});

/** Leaves what a killed process leaves: the folder and its record. */
function crashed(parent: string, device: string | null, pid = 99): string {
  const path = join(parent, "ppml-ram-abcdef");
  mkdirSync(path);
  writeFileSync(`${path}.json`, JSON.stringify({ pid, sectors: 2048, device }));
  return path;
}

describe("the RAM disk of macOS", () => {
  test("it is attached, formatted, mounted out of sight in a folder of mode 0700, and detached at the end", () => {
    const mac = fakeMac();
    {
      using disk = makeRamDisk(mac.place, 16 * MIB);
      assert.equal(statSync(disk.path).mode & 0o777, 0o700);
      assert.deepEqual(mac.ran, [
        "/usr/bin/hdiutil attach -nomount ram://49152", // 24 MiB in sectors of 512
        "/sbin/newfs_hfs -v ppml /dev/rdisk7",
        "/usr/sbin/diskutil mount nobrowse -mountPoint TMP/X /dev/disk7",
      ]);
      const record = readdirSync(mac.parent).find((name) => name.endsWith(".json")) ?? "";
      assert.equal(statSync(join(mac.parent, record)).mode & 0o777, 0o600);
    }
    assert.deepEqual(mac.ran.slice(3), ["/usr/bin/hdiutil detach /dev/disk7"]);
    assert.deepEqual(readdirSync(mac.parent), []);
  });

  for (const [step, answers, cleanup] of [
    ["attach", { "hdiutil attach": { status: 1, stdout: "" } }, []],
    [
      "attach, with another answer",
      { "hdiutil attach": { status: 0, stdout: "/dev/disk7; rm" } },
      [],
    ],
    ["attach, in time", { "hdiutil attach": { status: null, stdout: "" } }, []],
    [
      "format",
      { "newfs_hfs -v": { status: 1, stdout: "" } },
      ["/usr/bin/hdiutil detach /dev/disk7"],
    ],
    [
      "mount",
      { "diskutil mount": { status: 1, stdout: "" } },
      ["/usr/bin/hdiutil detach /dev/disk7"],
    ],
  ] as const)
    test(`where it cannot ${step}, the job is refused and nothing is left`, () => {
      const mac = fakeMac(answers);
      assert.throws(
        () => makeRamDisk(mac.place, MIB),
        (error) => isPpmlError(error, "launch.isolation"),
      );
      assert.deepEqual(
        mac.ran.filter((line) => line.includes("detach")),
        cleanup,
      );
      assert.deepEqual(readdirSync(mac.parent), []);
    });

  test("a busy disk is detached by force, and one that stays is named with what to run", () => {
    const busy = { status: 16, stdout: "" };
    const forced = fakeMac({ "hdiutil detach": busy, "hdiutil detach -force": done });
    makeRamDisk(forced.place, MIB)[Symbol.dispose]();
    assert.equal(forced.ran.at(-1), "/usr/bin/hdiutil detach /dev/disk7 -force");
    assert.deepEqual(readdirSync(forced.parent), []);
    const stuck = fakeMac({ "hdiutil detach": busy });
    const disk = makeRamDisk(stuck.place, MIB);
    assert.throws(
      () => disk[Symbol.dispose](),
      /may hold opened data: run hdiutil detach \/dev\/disk7 -force/,
    );
    assert.equal(readdirSync(stuck.parent).length, 2, "folder and record stay for the next start");
  });

  test("the next start detaches what a crash left, mounted or not", () => {
    for (const isMounted of [true, false]) {
      const answers: Record<string, Ran> = {};
      const mac = fakeMac(answers);
      const path = crashed(mac.parent, "/dev/disk5");
      answers["hdiutil info"] = info("ram://2048", "/dev/disk5", isMounted ? path : "");
      using _ = makeRamDisk(mac.place, MIB);
      assert.deepEqual(mac.ran.slice(0, 3), [
        "/usr/bin/hdiutil info",
        "/usr/bin/hdiutil detach /dev/disk5",
        "/usr/bin/hdiutil attach -nomount ram://18432",
      ]);
      assert.ok(!existsSync(path) && !existsSync(`${path}.json`));
    }
  });

  test("a device that is another disk by now, or a living process's, is never detached", () => {
    const foreign: readonly Ran[] = [
      info("/Users/a/backup.dmg", "/dev/disk5", ""),
      info("ram://4096", "/dev/disk5", ""),
      info("ram://2048", "/dev/disk6", ""),
      info("ram://2048", "/dev/disk5", "/Volumes/Other"),
      { status: 1, stdout: "" },
      { status: 0, stdout: "no list" },
    ];
    for (const answer of foreign) {
      const mac = fakeMac({ "hdiutil info": answer });
      const path = crashed(mac.parent, "/dev/disk5");
      using _ = makeRamDisk(mac.place, MIB);
      assert.equal(mac.ran.filter((line) => line.includes("detach")).length, 0);
      assert.ok(!existsSync(path), "its empty folder goes");
    }
    const mac = fakeMac({ "hdiutil info": info("ram://2048", "/dev/disk5", "") }, [99]);
    const path = crashed(mac.parent, "/dev/disk5");
    using _ = makeRamDisk(mac.place, MIB);
    assert.equal(mac.ran.filter((line) => line.includes("detach")).length, 0);
    assert.ok(existsSync(path));
  });

  test("a folder that is not empty and whose disk is not known does not stop a job, and stays", () => {
    const mac = fakeMac({ "hdiutil info": { status: 1, stdout: "" } });
    const path = crashed(mac.parent, "/dev/disk5");
    writeFileSync(join(path, "opened"), "x");
    using _ = makeRamDisk(mac.place, MIB);
    assert.ok(existsSync(join(path, "opened")) && existsSync(`${path}.json`));
  });

  test("a record that is no record is left alone, and a crash before attaching leaves only a folder to remove", () => {
    const mac = fakeMac();
    writeFileSync(join(mac.parent, "ppml-ram-zzzzzz.json"), '{"device":"/dev/disk1; rm -rf /"}');
    const path = crashed(mac.parent, null);
    using _ = makeRamDisk(mac.place, MIB);
    assert.equal(mac.ran.length, 3);
    assert.ok(!existsSync(path) && existsSync(join(mac.parent, "ppml-ram-zzzzzz.json")));
  });
});

describe("a worker's files where no file is nameless", () => {
  test("they have mode 0600 and a random name, the engine reads and writes them, and they go when they are disposed of", async () => {
    const folder = join(scratch.path, "files");
    mkdirSync(folder);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    {
      using input = openMemoryFile(folder, "darwin");
      using output = openMemoryFile(folder, "darwin");
      assert.equal(statSync(input.path).mode & 0o777, 0o600);
      assert.match(input.path, /\/files\/[0-9a-f]{32}$/);
      input.append(utf8("a\n"));
      input.append(utf8("41\n"));
      const query = `SELECT a + 1 AS b FROM read_csv('${input.path}')`;
      await connection.run(
        `COPY (${query}) TO '${output.path}' (FORMAT parquet, USE_TMP_FILE false)`,
      );
      const bytes = await output.source().read(0, output.size());
      assert.equal(Buffer.from(bytes.subarray(0, 4)).toString(), "PAR1");
      assert.equal(readdirSync(folder).length, 2);
    }
    assert.deepEqual(readdirSync(folder), []);
    connection.closeSync();
    instance.closeSync();
  });

  test("on systems that are neither Linux nor macOS no folder is made, rather than one on a disk", () => {
    assert.throws(
      () => makeWorkDirectory({ platform: "freebsd", bytes: MIB }),
      (error) => isPpmlError(error, "launch.isolation"),
    );
  });

  test("the notice says what differs on macOS, and nothing where the worker is shut in", () => {
    assert.match(isolationNotice("none", "darwin") ?? "", /RAM disk.*network.*simulation only/);
    assert.match(isolationNotice("none", "linux") ?? "", /no namespaces/);
    assert.equal(isolationNotice("namespaces", "linux"), null);
  });
});
