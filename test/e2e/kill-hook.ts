// Preloaded into a command line: ends it as kill -9 would, at one change of a file's name.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { call, path, when } = JSON.parse(process.env["PPML_TEST_KILL"] ?? "{}") as {
  readonly call: "rename" | "unlink";
  /** Of the name that appears or goes. */
  readonly path: string;
  readonly when: "before" | "after";
};
const pattern = new RegExp(path);
const { renameSync, unlinkSync } = fs;

function around(of: string, name: fs.PathLike, change: () => void): void {
  const isMeant = of === call && pattern.test(String(name));
  if (isMeant && when === "before") process.kill(process.pid, "SIGKILL");
  change();
  if (isMeant) process.kill(process.pid, "SIGKILL");
}

fs.renameSync = (from, to) => {
  around("rename", to, () => {
    renameSync(from, to);
  });
};
fs.unlinkSync = (name) => {
  around("unlink", name, () => {
    unlinkSync(name);
  });
};
syncBuiltinESMExports();
