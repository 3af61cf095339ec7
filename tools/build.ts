// Compiles src/ into dist/: what the npm package ships. Node runs no TypeScript below node_modules.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
const done = spawnSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
process.exit(done.status ?? 1);
