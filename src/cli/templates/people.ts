import type { Template } from "./template.ts";

/** Rows of people.csv where no number is given, and the most. */
export const DEFAULT_ROWS = 10_000;
export const MAX_ROWS = 1_000_000;

const SEED = 20_231_103;

/** Names, ages and jobs, and the query for developers aged 20 to 40. */
export function peopleTemplate(rows: number): Template {
  return {
    sections: SECTIONS,
    files: {
      "data/people.csv": peopleCsv({ rows, seed: SEED }),
      "queries/developers.sql": DEVELOPERS_SQL,
    },
    copies: {},
    keks: [
      { name: "people", purpose: "people: the whole file" },
      { name: "results", purpose: "results of jobs" },
    ],
    next: [
      "ppml data seal",
      "ppml job sign developers",
      "ppml policy draft analysis && ppml policy draft owner",
      "ppml policy apply",
      "ppml run developers",
      "ppml data open developers",
    ],
  };
}

/**
 * Made-up people as CSV with the columns name, age, job; the same for the same seed.
 * Rows 0 to MAX_ROWS, about 30 bytes each.
 */
export function peopleCsv(options: { readonly rows: number; readonly seed: number }): string {
  const random = randomNumbers(options.seed);
  const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? "";
  const lines = ["name,age,job"];
  for (let row = 0; row < options.rows; row += 1) {
    const age = 18 + Math.floor(random() * 50);
    lines.push(`${pick(FIRST_NAMES)} ${pick(LAST_NAMES)},${age},${pick(JOBS)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Numbers from 0 to below 1 by a linear congruence (Knuth's MMIX): for examples, never for keys. */
function randomNumbers(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n);
    return Number(state >> 32n) / 2 ** 32;
  };
}

const FIRST_NAMES = words(
  "Ada Amina Anna Bela Carlos Chen Dana Elif Emil Fatou Grace Hugo Ines Ivan Jin Jonas Kavya",
  "Lena Luca Mara Mateo Nadia Noah Olga Omar Pia Ravi Rosa Sami Sofia Tariq Uma Yuki Zoe",
);
const LAST_NAMES = words(
  "Abe Baker Costa Dubois Eriksen Fischer Garcia Haddad Ito Jansen Kim Lopez Meyer Novak Okafor",
  "Patel Quinn Rossi Sato Tanaka Ueda Varga Wang Xu Yilmaz Zhang",
);
const JOBS = words(
  "Developer Engineer Researcher Teacher Nurse Accountant Designer Electrician Lawyer Baker",
);

function words(...lines: readonly string[]): readonly string[] {
  return lines.join(" ").split(" ");
}

const SECTIONS = `
datasets:
  people: # name, age, job
    source: data/people.csv
    store: sealed/people
    kind: file
    groups:
      - name: all
        kek: people
  developers:
    store: sealed/developers
    groups:
      - name: all
        kek: results

policies:
  analysis:
    file: policies/analysis.json
  owner: # lets the owner open results
    file: policies/owner.json

jobs:
  developers:
    engine: sql
    code: queries/developers.sql
    policy: analysis
    purpose: staff planning
    inputs:
      people:
        dataset: people
    output: developers
`;

const DEVELOPERS_SQL = `-- Developers aged 20 to 40.
SELECT name, age, job
FROM people
WHERE job = 'Developer' AND age BETWEEN 20 AND 40
ORDER BY age, name
`;
