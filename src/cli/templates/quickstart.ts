import { existsSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import type { Template } from "./template.ts";

const FLIGHTS = "flights-3m.parquet";
const AIRPORTS = "airports.csv";

/** Three million real flights and the airports: a join, groups, windows, and a sensitive column. */
export function quickstartTemplate(): Template {
  const data = vegaDataFolder();
  return {
    sections: SECTIONS,
    files: {
      "queries/delays.sql": DELAYS_SQL,
      ...(data === undefined ? { "data/README.md": DATA_NOTE } : {}),
    },
    copies:
      data === undefined
        ? {}
        : {
            [`data/${FLIGHTS}`]: join(data, FLIGHTS),
            [`data/${AIRPORTS}`]: join(data, AIRPORTS),
          },
    keks: [
      { name: "flights-ordinary", purpose: "flights: all columns but the sensitive ones" },
      { name: "flights-sensitive", purpose: "flights: the delays" },
      { name: "airports", purpose: "airports: the whole file" },
      { name: "results", purpose: "results of jobs" },
    ],
    next: [
      ...(data === undefined ? ["put the two files into data/: see data/README.md"] : []),
      "ppml data seal",
      "ppml job sign delays",
      "ppml policy draft analysis && ppml policy draft owner",
      "ppml policy apply",
      "ppml run delays",
      "ppml data open delays",
    ],
  };
}

/** The data comes with the development dependency vega-datasets, so only in a clone. */
function vegaDataFolder(): string | undefined {
  try {
    const manifest = findPackageJSON("vega-datasets", import.meta.url);
    if (manifest === undefined) return undefined;
    const folder = join(dirname(manifest), "data");
    return [FLIGHTS, AIRPORTS].every((name) => existsSync(join(folder, name))) ? folder : undefined;
  } catch {
    return undefined;
  }
}

const SECTIONS = `
datasets:
  flights: # date, delay, distance, origin, destination
    source: data/${FLIGHTS}
    store: sealed/flights
    kind: table
    groups:
      - name: ordinary
        kek: flights-ordinary
      - name: sensitive
        kek: flights-sensitive
        columns: [delay]
  airports: # iata, name, city, state, country, latitude, longitude
    source: data/${AIRPORTS}
    store: sealed/airports
    kind: file
    groups:
      - name: all
        kek: airports
  delays:
    store: sealed/delays
    groups:
      - name: all
        kek: results

policies:
  analysis:
    file: policies/analysis.json
  owner: # lets the owner open results
    file: policies/owner.json

jobs:
  delays:
    engine: sql
    code: queries/delays.sql
    policy: analysis
    purpose: delay statistics
    inputs:
      flights:
        dataset: flights
        columns: [delay, origin]
      airports:
        dataset: airports
    output: delays
    limits:
      memoryMiB: 1024
      timeoutSeconds: 120
      threads: 2
`;

const DATA_NOTE = `# The data of this example

\`flights-3m.parquet\` (13 MB) and \`airports.csv\` (0.2 MB) of the npm package vega-datasets 3.2.1:

    npm pack vega-datasets@3.2.1
    tar xzf vega-datasets-3.2.1.tgz --strip-components=2 package/data/${FLIGHTS} package/data/${AIRPORTS}
`;

const DELAYS_SQL = `-- Where do flights leave late, and which airports of a state are to blame?
-- Origins with at least 1,000 flights, ranked by mean delay within their state; the three latest of
-- each of the ten latest states.
WITH by_origin AS (
  SELECT
    airports.state,
    airports.iata AS origin,
    min(airports.city) AS city,
    count(*) AS flights,
    avg(flights.delay) AS mean_delay,
    avg((flights.delay > 60)::INT) AS late_share
  FROM flights
  JOIN airports ON airports.iata = flights.origin
  GROUP BY airports.state, airports.iata
  HAVING count(*) >= 1000
),
ranked AS (
  SELECT
    *,
    rank() OVER (PARTITION BY state ORDER BY mean_delay DESC, origin) AS place,
    sum(flights * mean_delay) OVER (PARTITION BY state) / sum(flights) OVER (PARTITION BY state)
      AS state_delay
  FROM by_origin
),
states AS (
  SELECT *, dense_rank() OVER (ORDER BY state_delay DESC, state) AS state_place
  FROM ranked
)
SELECT
  state,
  place,
  origin,
  city,
  flights,
  round(mean_delay, 1) AS mean_delay_min,
  round(100 * late_share, 1) AS over_an_hour_pct,
  round(mean_delay - state_delay, 1) AS vs_state_min
FROM states
WHERE place <= 3 AND state_place <= 10
ORDER BY state_place, place
`;
