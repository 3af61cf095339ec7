/** What the guide asks of its reader, by kind. */
export const ITEM_KINDS = [
  "command",
  "flag",
  "conf",
  "variable",
  "output",
  "noted",
  "file",
  "image",
  "rule",
] as const;

/** One thing of the guide: kind, section and name, as `flag 2.1.1 az group create --location`. */
export type GuideItem = string;

/** Statements outside code that ask for something. They are found by their facts, not quoted. */
const RULES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["existing resource group", /resource group or use your existing/],
  ["region East US 2", /choose East US 2 region/],
  ["DC-series size of more than 4 vCPU", /DC-Series VM with more than 4 vCPU/],
  ["existing AKS", /Create AKS or use existing/],
  ["existing Data Lake account", /Storage account or use existing/],
  ["existing key vault", /use an existing Azure key vault/],
  ["abfs[s] URI", /abfs\[s\]:\/\//],
  ["authentication by Shared Key", /- Shared Key:/],
  ["authentication by OAuth bearer token and POSIX ACL", /OAuth Bearer Token:.*POSIX/],
  ["Shared Key by default", /By default, .*shared key/],
  ["pod identity", /`An Azure Active Directory pod identity`/],
  ["user-assigned identity", /`user-assigned identity`/],
  ["system-assigned identity", /`system-assigned managed identity`/],
  ["provider pods run on each node", /Provider pod are running on each node/],
  ["one password for all purposes", /input the same password/],
  ["password longer than 6 with numbers and letters", /longer than 6 .* numbers and letters/],
  ["the sample password", /sample password is "/],
];

/** Flags that come more than once with other values: the value is part of the name. */
const WITH_VALUE = /^(?:docker run (?:--device|-e|-v)|az aks enable-addons --addons)$/;

/** Programs whose commands are words up to the first flag. */
const WITH_SUBCOMMANDS = /^(?:az|docker|kubectl)$/;
const SUBCOMMAND_WORDS: Readonly<Record<string, number>> = { docker: 1, kubectl: 2 };

type Block = { readonly section: string; readonly text: string };

/** All items of the guide's text, each once, in its order. */
export function guideItems(text: string): readonly GuideItem[] {
  const items = new Set<GuideItem>();
  const { blocks, prose } = split(text);
  for (const block of blocks) for (const item of itemsOfBlock(block)) items.add(item);
  for (const { section, text: line } of prose)
    for (const item of itemsOfProse(line)) items.add(item.replace("§", section));
  for (const [, path] of text.matchAll(/(\/(?:ppml|opt)\/[\w./-]*\w)/g))
    items.add(`file ${path ?? ""}`);
  for (const [image] of text.matchAll(/intelanalytics\/[\w.:/-]+/g)) items.add(`image ${image}`);
  for (const [name, pattern] of RULES) if (pattern.test(text)) items.add(`rule ${name}`);
  return [...items];
}

/** Fenced blocks and the lines between them, each with the number of its section. */
function split(text: string): { readonly blocks: Block[]; readonly prose: Block[] } {
  const blocks: Block[] = [];
  const prose: Block[] = [];
  let [section, fenced] = ["0", null as string[] | null];
  for (const line of text.split("\n")) {
    const isFence = /^```(?:bash)?\s*$/.test(line);
    if (isFence && fenced !== null) blocks.push({ section, text: fenced.join("\n") });
    if (isFence) fenced = fenced === null ? [] : null;
    else if (fenced !== null) fenced.push(line);
    else {
      // "#### b. Provide" stands below 2.4.3.2 and has no number of its own.
      section = /^#+ ([\d.]*\d)\.? /.exec(line)?.[1] ?? section;
      prose.push({ section, text: line });
    }
  }
  return { blocks, prose };
}

function itemsOfProse(line: string): readonly GuideItem[] {
  const noted =
    /note down the '(\w+)'/.exec(line)?.[1] ??
    /^Take note of the (\w+) of the client VM/.exec(line)?.[1] ??
    /^Take note of (principalId) /.exec(line)?.[1] ??
    /^Take note of this (output) /.exec(line)?.[1] ??
    /^\* The (?:Azure )?(?:name of the |name of your )?([\w ]+?)(?: in the key vault| that the .*| \(.*)?$/.exec(
      line,
    )?.[1];
  return [
    ...(noted === undefined ? [] : [`noted § ${noted}`]),
    ...(/`az login`/.test(line) ? ["command § az login"] : []),
  ];
}

function itemsOfBlock({ section, text }: Block): readonly GuideItem[] {
  const fields = [...text.matchAll(/^\s*(?:\? )?(?:"(\w+)"|(\w+)):\s/gm)];
  if (fields.length > 0)
    return fields.map(([, quoted, plain]) => `output ${section} ${quoted ?? plain ?? ""}`);
  // A line that begins with a flag goes on with the one before it, also where its `\` was forgotten.
  const joined = text.replaceAll(/\\\n/g, " ").replaceAll(/\n\s*(?=-)/g, " ");
  return joined.split("\n").flatMap((line) => itemsOfLine(line.trim(), section));
}

function itemsOfLine(line: string, section: string): readonly GuideItem[] {
  if (line === "" || line.startsWith("#")) return [];
  return line.split(/ && | \| /).flatMap((part) => {
    const assigned = /^(?:export )?(\w+)=(.*)$/.exec(part.trim());
    if (assigned === null) return itemsOfCommand(part, section);
    const [, name = "", value = ""] = assigned;
    const inner = /^(?:\$\(|`)(.*?)[)`]?$/.exec(value)?.[1];
    const rest = inner === undefined ? [] : itemsOfCommand(inner, section);
    return [[`variable ${section} ${name}`], rest].flat();
  });
}

function itemsOfCommand(part: string, section: string): readonly GuideItem[] {
  const words = part.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  if (words[0] === "sudo") words.shift();
  const [program = ""] = words;
  // A bare value: what a command before it printed.
  if (/^[0-9a-f-]{36}$/.test(program)) return [`output ${section} id`];
  const flagAt = words.findIndex((word) => word.startsWith("-"));
  const before = words.slice(0, flagAt < 0 ? words.length : flagAt);
  const count = WITH_SUBCOMMANDS.test(program)
    ? (SUBCOMMAND_WORDS[program] ?? before.length - 1)
    : 0;
  const name = before.slice(0, count + 1).join(" ");
  return [
    `command ${section} ${name}`,
    // The scripts of the image take their arguments by place.
    ...(program.endsWith(".sh") ? words.slice(1) : []).map(
      (_, index) => `flag ${section} ${name} #${index + 1}`,
    ),
    ...words.flatMap((word, index) => {
      const [flag] = flagOf(name, { word, next: words[index + 1] ?? "" });
      if (flag === undefined) return [];
      return flag.startsWith("conf ") ? [flag] : [`flag ${section} ${name} ${flag}`];
    }),
  ];
}

function flagOf(
  command: string,
  { word, next }: { readonly word: string; readonly next: string },
): readonly string[] {
  // `myAKSCluster--resource-group`: the space is missing.
  const glued = /\w(--[a-z-]+)$/.exec(word)?.[1];
  if (glued !== undefined && !word.startsWith("-")) return [glued];
  if (!/^--?[A-Za-z]/.test(word)) return [];
  if (word === "--conf") return [`conf ${next.split("=", 1)[0] ?? ""}`];
  const [flag = "", ...value] = word.split("=");
  if (!WITH_VALUE.test(`${command} ${flag}`)) return [flag];
  return [`${flag} ${(value.join("=") || next).split("=", 1)[0] ?? ""}`];
}
