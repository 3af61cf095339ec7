import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

/** Packages that are loaded with a file: its static imports, types left out, and theirs. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const queue = [entry];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const text = readFileSync(path, "utf8");
    for (const [, kind, name = ""] of text.matchAll(
      /^(?:import|export)( type)? (?:[^;]*? from )?"([^"]+)";/gm,
    )) {
      if (kind !== undefined) continue;
      if (name.startsWith(".")) queue.push(normalize(join(dirname(path), name)));
      else packages.add(name);
    }
  }
  return packages;
}

test("Azure's SDKs are loaded where a vault in Azure is opened, and not before", () => {
  for (const entry of [
    "src/cli/main.ts",
    "src/cli/vault.ts",
    "src/broker/main.ts",
    "src/key/index.ts",
  ]) {
    const azure = [...packagesOf(entry)].filter((name) => name.startsWith("@azure/"));
    assert.deepEqual(azure, [], entry);
  }
  assert.ok(packagesOf("src/key/azure/azure-vault.ts").has("@azure/keyvault-keys"));
});
