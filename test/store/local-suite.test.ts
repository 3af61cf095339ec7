import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { openLocalStore } from "../../src/store/index.ts";
import { makeScratch } from "../compute/fixture.ts";
import type { Scratch } from "../compute/fixture.ts";
import { testStore } from "./store-suite.ts";

let scratch: Scratch;
before(() => {
  scratch = makeScratch();
});
after(() => scratch[Symbol.dispose]());

describe("the suite of all stores", () => {
  let count = 0;
  testStore("a local folder", async () => {
    count += 1;
    const root = join(scratch.path, `store-${count}`);
    mkdirSync(root);
    return openLocalStore(root);
  });
});
