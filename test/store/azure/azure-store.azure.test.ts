import { after, before, describe } from "node:test";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import { testStore } from "../store-suite.ts";
import { LAKE, OWNER, startLake } from "./lake.ts";
import type { Lake } from "./lake.ts";

let lake: Lake;
before(async () => {
  lake = await startLake();
  const { containerOf } = await import("../../../src/store/azure/access.ts");
  const { parseAbfsUri } = await import("../../../src/store/azure/uri.ts");
  await containerOf(parseAbfsUri(LAKE), lake.accessOf(OWNER)).create();
});
after(() => lake.close());

describe("the suite of all stores", () => {
  let count = 0;
  testStore("a data lake", async () => {
    count += 1;
    return openAzureStore(`${LAKE}/store-${count}`, lake.accessOf(OWNER));
  });
});
