import type { KekInfo, KekState } from "../key/index.ts";
import type { Outcome } from "./command.ts";
import type { CliContext } from "./context.ts";
import { SIMULATED_NOTE, type Style } from "./output/style.ts";
import { renderFields, renderTable } from "./output/table.ts";

/** One KEK as the commands' JSON shows it. */
export function kekData(kek: KekInfo) {
  return { ...kek, simulated: kek.mode === "simulation" };
}

/** The outcome of a command that changed one KEK: a sentence, then the KEK. */
export function changedKek(context: CliContext, kek: KekInfo, sentence: string): Outcome {
  return {
    data: { kek: kekData(kek) },
    human: () => `${sentence}\n\n${kekText(kek, context.style)}`,
  };
}

/**
 * One KEK and its versions as text.
 * @param thumbprints of versions, by their id: the name that jobs and policies have for them
 */
export function kekText(
  kek: KekInfo,
  style: Style,
  thumbprints: ReadonlyMap<string, string> | null = null,
): string {
  const fields = renderFields(
    [
      ["name", kek.name],
      ["id", kek.kekId],
      [
        "state",
        kek.recoverableUntil === null
          ? kek.state
          : `${kek.state}, recoverable until ${kek.recoverableUntil}`,
      ],
      ["kind", kek.kind],
      ...(kek.releasePolicy === null
        ? []
        : [["release policy", JSON.stringify(kek.releasePolicy)] as const]),
      ["purpose", kek.purpose ?? "-"],
      ["created", kek.created],
    ],
    style,
  );
  const versions = renderTable({
    style,
    columns: [
      { title: "VERSION", align: "right" },
      { title: "ID" },
      { title: "STATE", paint: (cell) => paintState(cell, style) },
      { title: "BITS", align: "right" },
      { title: "CREATED" },
      ...(thumbprints === null ? [] : [{ title: "IN JOBS AND POLICIES" }]),
      { title: "" },
    ],
    rows: kek.versions.map((version) => [
      String(version.number),
      version.kekVersion,
      version.state,
      String(version.bits),
      version.created,
      ...(thumbprints === null ? [] : [thumbprints.get(version.kekVersion) ?? ""]),
      version.kekVersion === kek.currentVersion ? "current" : "",
    ]),
  });
  return `${fields}\n${versions}${simulatedFoot(kek.mode, style)}`;
}

/** The KEKs of a vault as a table. */
export function keksText(keks: readonly KekInfo[], style: Style): string {
  return renderTable({
    style,
    columns: [
      { title: "NAME" },
      { title: "STATE", paint: (cell) => paintState(cell, style) },
      { title: "KIND" },
      { title: "VERSIONS", align: "right" },
      { title: "BITS", align: "right" },
      { title: "CREATED" },
      { title: "PURPOSE" },
    ],
    rows: keks.map((kek) => [
      kek.name,
      kek.state,
      kek.kind,
      String(kek.versions.length),
      String(kek.versions.at(-1)?.bits ?? ""),
      kek.created,
      kek.purpose ?? "-",
    ]),
  });
}

/** What a screen of a simulation ends with; empty in production. */
export function simulatedFoot(mode: KekInfo["mode"], style: Style): string {
  return mode === "simulation" ? `\n${style.warn(SIMULATED_NOTE)}\n` : "";
}

function paintState(cell: string, style: Style): string {
  const state: KekState | undefined = (
    ["enabled", "disabled", "deleted", "destroyed"] as const
  ).find((one) => one === cell.trim());
  if (state === "disabled") return style.warn(cell);
  return state === "destroyed" || state === "deleted" ? style.bad(cell) : cell;
}
