import type { ResourceEntry } from "../format/resource.ts";
import { resourcePathSchema } from "../format/resource.ts";
import type { BrokerClient } from "../launch/index.ts";

/** The argument PATH of a command on one resource. */
export const resourceArgument = {
  kind: "tuple",
  parameters: [
    {
      placeholder: "PATH",
      brief: "repo/type/tag, such as default/keys/db",
      parse: parseResourcePath,
    },
  ],
} as const;

/** Parses a resource's path; for flags and arguments. */
export function parseResourcePath(text: string): string {
  const parsed = resourcePathSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new RangeError(parsed.error.issues[0]?.message ?? "expected repo/type/tag");
}

/** What the broker has under a path; null where there never was a resource. */
export async function resourceAt(
  client: BrokerClient,
  path: string,
): Promise<ResourceEntry | null> {
  const { resources } = await client.resources();
  return resources.find((entry) => entry.path === path) ?? null;
}
