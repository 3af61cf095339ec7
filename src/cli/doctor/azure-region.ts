import { z } from "zod";
import { armList, armRequest, type AzureConnection } from "../../azure/index.ts";
import type { ArmTemplate, AzureSection } from "../../provision/index.ts";
import { nearest } from "../config/suggest.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

const API = "2022-12-01";
const GROUP_API = "2024-11-01";

/** A resource that has a region. */
export type Placed = { readonly type: string; readonly name: string; readonly location: string };

const regionSchema = z.object({
  name: z.string(),
  // Logical ones, such as "europe", are none to deploy to.
  metadata: z.object({ regionType: z.string().optional() }).optional(),
});
const placedSchema = z.object({ type: z.string(), name: z.string(), location: z.string() });

/** Looks whether the subscription has the region, and whether the group and what is in it lie there. */
export async function examineRegion(input: {
  readonly section: AzureSection;
  readonly template: ArmTemplate;
  readonly connection: AzureConnection;
}): Promise<readonly Finding[]> {
  const { section, template, connection } = input;
  const subscription = `/subscriptions/${section.subscription}`;
  const regions = await armList(connection, { path: `${subscription}/locations`, apiVersion: API });
  const names = regions.flatMap((one) => {
    const { success, data } = regionSchema.safeParse(one);
    return success && data.metadata?.regionType !== "Logical" ? [data.name] : [];
  });
  const region = judgeRegion(section.region, names);
  if (region.status === "fail") return [region];
  const path = `${subscription}/resourceGroups/${section.resourceGroup}`;
  const group = await armRequest(connection, { method: "GET", path, apiVersion: GROUP_API });
  const location = z.object({ location: z.string() }).safeParse(group.body).data?.location;
  if (group.status === 404 || location === undefined) return [region];
  const there = await armList(connection, { path: `${path}/resources`, apiVersion: GROUP_API });
  const placed = there.flatMap((one) => placedSchema.safeParse(one).data ?? []);
  return [region, ...judgePlaces({ section, template, group: location, placed })];
}

/** Whether the subscription has a region of that name. */
export function judgeRegion(region: string, names: readonly string[]): Finding {
  const check = `region ${region}`;
  if (names.includes(region)) return ok(check, "is one of the subscription's");
  const near = nearest(region, names);
  const all = names.toSorted().join(", ");
  return fail(
    check,
    "the subscription has no region of this name",
    `set azure.region${near === undefined ? "" : ` (did you mean ${near}?)`}: ${all}`,
  );
}

/** Whether what is there lies in the region that is asked for: Azure moves nothing. */
export function judgePlaces(of: {
  readonly section: Pick<AzureSection, "region" | "resourceGroup">;
  readonly template: Pick<ArmTemplate, "resources">;
  /** The group's own region. */
  readonly group: string;
  readonly placed: readonly Placed[];
}): readonly Finding[] {
  const { region, resourceGroup } = of.section;
  const check = `group ${resourceGroup}`;
  const keyOf = ({ type, name }: Pick<Placed, "type" | "name">) => `${type}/${name}`.toLowerCase();
  const wanted = new Set(
    of.template.resources.filter(({ location }) => location === region).map((one) => keyOf(one)),
  );
  const elsewhere = of.placed.filter((one) => wanted.has(keyOf(one)) && one.location !== region);
  if (elsewhere.length > 0) {
    const [{ location } = { location: "" }] = elsewhere;
    const shown = elsewhere.slice(0, 3).map(({ name }) => name);
    const more = elsewhere.length > 3 ? ` and ${elsewhere.length - 3} more` : "";
    return [
      fail(
        check,
        `${shown.join(", ")}${more} of it lie in ${location}, and azure.region says ${region}: Azure moves nothing`,
        `set azure.region: ${location}, or name another azure.resourceGroup`,
      ),
    ];
  }
  if (of.group === region) return [ok(check, `lies in ${region}`)];
  return [
    warn(
      check,
      `it is there already, in ${of.group}, and azure.region says ${region}`,
      `set azure.region: ${of.group}, or leave it: what is made goes to ${region}, and the group stays where it is`,
    ),
  ];
}
