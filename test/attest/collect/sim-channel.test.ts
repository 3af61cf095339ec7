import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { wire } from "../fixture.ts";

const collector = new URL("../../../src/attest/collect/sim-channel.ts", import.meta.url).href;

/** Runs a collector in a process of its own; `answer` plays the platform. */
async function collect(
  answer: (request: string, channel: Duplex) => void,
  source = "await ask()",
): Promise<{ output: unknown; requests: string[] }> {
  const script = `
    import { openSimChannelAttester } from ${JSON.stringify(collector)};
    const attester = openSimChannelAttester(3);
    const ask = () => attester.attest(new Uint8Array(64)).catch((error) => error.code + ": " + error.message);
    console.log(JSON.stringify(${source}));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
  });
  const channel = child.stdio[3];
  assert.ok(channel instanceof Duplex);
  const requests: string[] = [];
  channel.on("error", () => {});
  channel.on("data", (data: Buffer) => {
    for (const line of data.toString().trim().split("\n")) {
      requests.push(line);
      answer(line, channel);
    }
  });
  let text = "";
  child.stdout?.on("data", (data: Buffer) => {
    text += data.toString();
  });
  // Without dispose(): an idle channel does not keep the process.
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0);
  return { output: JSON.parse(text), requests };
}

test("the collector asks with report data and gives the platform's Evidence", async () => {
  const { output, requests } = await collect((_line, channel) =>
    channel.write(`${JSON.stringify({ evidence: wire })}\n`),
  );
  assert.deepEqual(output, wire);
  assert.deepEqual(requests, [JSON.stringify({ reportData: "A".repeat(86) })]);
});

test("requests wait for each other, and a refused one does not block the next", async () => {
  let count = 0;
  const { output } = await collect((_line, channel) => {
    count += 1;
    channel.write(`${JSON.stringify(count === 1 ? { error: "no" } : { evidence: wire })}\n`);
  }, "await Promise.all([ask(), ask()])");
  assert.deepEqual(output, ["attest.unavailable: the simulated platform refused: no", wire]);
});

test("garbage, unknown forms and the end of the channel are attest.unavailable", async () => {
  const answers: readonly ((channel: Duplex) => void)[] = [
    (channel) => channel.write("garbage\n"),
    (channel) => channel.write("{}\n"),
    (channel) => channel.write(`${JSON.stringify({ evidence: { ...wire, more: 1 } })}\n`),
    (channel) => channel.write("null\nnull\n"),
    (channel) => channel.end(),
    (channel) => channel.write("x".repeat(9 * 1024 * 1024)),
  ];
  for (const answer of answers) {
    const { output } = await collect((_line, channel) => answer(channel));
    assert.match(String(output), /^attest\.unavailable: /);
  }
});

test("the end of the platform is told, and later requests fail", async () => {
  const { output } = await collect(
    (_line, channel) => channel.end(),
    "[await ask(), await attester.closed, await ask()].map(String)",
  );
  assert.match(String((output as string[])[2]), /^attest\.unavailable/);
});

test("a descriptor that is no channel is attest.unavailable", () => {
  const child = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      `import { openSimChannelAttester } from ${JSON.stringify(collector)};
       try { await openSimChannelAttester(3).attest(new Uint8Array(64)); } catch (error) { console.log(error.code); }`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  return new Promise<void>((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (data: Buffer) => {
      text += data.toString();
    });
    child.once("close", () => {
      try {
        assert.equal(text.trim(), "attest.unavailable");
        resolve();
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
});
