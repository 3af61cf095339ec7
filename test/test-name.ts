/** A name as it stands in a source: in quotes, or as a template whose `${…}` the row writes as "…". */
export function stands(source: string, name: string): boolean {
  const pattern = name
    .split("…")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*?");
  return new RegExp(`(["\`'])${pattern}\\1`).test(source);
}
