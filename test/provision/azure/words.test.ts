import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nameOfId, resourceWords } from "../../../src/provision/azure/deploy/index.ts";
import { templateIds } from "../../../src/provision/azure/deploy/resource-ids.ts";
import { sectionOf, templateOf, VARIANTS } from "./sections.ts";

describe("role assignments and diagnostic settings are told in words", () => {
  for (const [variant, change] of Object.entries(VARIANTS))
    test(`all of the template ${variant}, also those on resources of other groups`, () => {
      const section = sectionOf(change);
      const wordsOf = resourceWords(section);
      const ids = templateIds(templateOf(section), section);
      const roles = ids.filter((id) => id.includes("/roleAssignments/"));
      assert.ok(roles.length > 5);
      for (const id of roles) {
        const found = wordsOf(id);
        assert.match(found?.role ?? "", /^[A-Z]/, id);
        assert.match(found?.principal ?? "", /^(?:ppml-|operator )/, id);
        const { role = "", principal = "", words = "" } = found ?? {};
        assert.ok(words.startsWith(`${role} for ${principal} on `), words);
        assert.doesNotMatch(words, /Microsoft\.|undefined/);
        assert.ok(!words.includes(nameOfId(id)), words);
      }
      for (const id of ids.filter((one) => one.includes("/diagnosticSettings/")))
        assert.match(wordsOf(id)?.words ?? "", /^ppml, of (?:the )?[a-zM]/);
      const plain = ids.filter((id) => !/roleAssignments|diagnosticSettings/.test(id));
      for (const id of plain) assert.equal(wordsOf(id), null, id);
    });

  test("one that the project no longer has is told by its scope", () => {
    const scope =
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/c";
    const id = `${scope}/providers/Microsoft.Authorization/roleAssignments/0000`;
    assert.deepEqual(resourceWords(sectionOf())(id), { words: "0000, on filesystem a/c" });
  });
});
