import { chmodSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createSimulationPki } from "../../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const pki = createSimulationPki({ nowMs: NOW_MS });
export const platform = simulatedPlatformOf(pki);
export const config = new TextEncoder().encode('{"v":1}');

/** Writes files into a new folder (or one given) and returns it. */
export function makeRoot(
  files: Readonly<Record<string, string>>,
  root = mkdtempSync(join(tmpdir(), "ppml-image-")),
): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** A small clone: two entries, a module of each kind of import, packages with dependencies. */
export function makeClone(): string {
  const root = makeRoot({
    "src/launch/main.ts": [
      'import { a } from "./a.ts";',
      "import {",
      "  b,",
      '} from "../lib/b.ts";',
      'import type { T } from "./types-only.ts";',
      'import "node:fs";',
      'import "fs";',
      'import "alpha";',
      "export { a, b };",
      'export * from "./star.ts";',
      'export const lazy = () => import("./lazy.ts");',
      'export const url = new URL("./asset.json", import.meta.url);',
    ].join("\n"),
    "src/launch/a.ts": 'export const a = 1; // import "./not-an-import.ts"\n',
    "src/launch/star.ts": 'import "../launch/main.ts";\nexport const star = 1;\n',
    "src/launch/lazy.ts": 'import deep from "@scope/beta/deep";\nexport default deep;\n',
    "src/launch/asset.json": "{}\n",
    "src/launch/types-only.ts": "export type T = 1;\n",
    "src/launch/unreached.ts": "export const unreached = 1;\n",
    "src/lib/b.ts": "export const b = 2;\n",
    "src/worker/main.ts": 'import { b } from "../lib/b.ts";\nexport { b };\n',
    "node_modules/alpha/package.json": JSON.stringify({
      name: "alpha",
      dependencies: { gamma: "1" },
      optionalDependencies: { "not-for-this-platform": "1", native: "1" },
    }),
    "node_modules/alpha/index.js": "1;\n",
    "node_modules/alpha/README.md": "text\n",
    "node_modules/alpha/index.d.ts": "export {};\n",
    "node_modules/alpha/node_modules/gamma/package.json": '{"name":"gamma","version":"1.0.0"}',
    "node_modules/alpha/node_modules/gamma/lib/index.js": "2;\n",
    "node_modules/gamma/package.json": '{"name":"gamma","version":"2.0.0"}',
    "node_modules/gamma/index.js": "3;\n",
    "node_modules/native/package.json": '{"name":"native"}',
    "node_modules/native/x.node": "binary",
    "node_modules/@scope/beta/package.json": '{"name":"@scope/beta"}',
    "node_modules/@scope/beta/deep.js": "4;\n",
    "node_modules/unused/package.json": '{"name":"unused"}',
    "node_modules/unused/index.js": "5;\n",
    "bin/node": "a stand-in for Node\n",
  });
  chmodSync(join(root, "bin/node"), 0o755);
  return root;
}

/** A copy of a clone at another place, its mode bits kept, its times not. */
export function copyRoot(root: string): string {
  const copy = mkdtempSync(join(tmpdir(), "ppml-image-copy-"));
  cpSync(root, copy, { recursive: true });
  return copy;
}
