import { constants, privateDecrypt } from "node:crypto";
import { PpmlError, Secret } from "../../src/base/index.ts";
import { parseKeyMaterial, unwrapTableDek } from "../../src/format/parquet/index.ts";
import type { KeyFor } from "../../src/format/parquet/index.ts";
import type { TestKek } from "../compute/fixture.ts";
import type { Folder } from "./python.ts";

/** Rows of every type that both sides read, without NaN (which equals nothing), with nulls. */
export const TYPES_SQL = `select
  i as id, (i % 2 = 0) as flag, (i % 100)::tinyint as i8, (i % 30000)::smallint as i16,
  i::integer as i32, (i % 200)::utinyint as u8, (i % 60000)::usmallint as u16, i::uinteger as u32,
  i::ubigint as u64, (i / 7)::float as f32, i / 7 as f64,
  case when i % 11 = 0 then null else 'name ' || (i % 50) end as s, repeat('é', i % 40) as long,
  ('x' || i)::blob as bin, (i / 100)::decimal(4,2) as dec4, (i / 100)::decimal(9,2) as dec9,
  (i / 100)::decimal(18,3) as dec18, (i * 1000000007::hugeint)::decimal(38,4) as dec38,
  date '2020-01-01' + (i % 900)::integer as day, time '00:00:00' + interval (i) second as tm,
  timestamp '2020-01-01' + interval (i) minute as ts,
  (timestamp '2020-01-01' + interval (i) minute)::timestamp_ms as ts_ms,
  (timestamp '2020-01-01' + interval (i) minute)::timestamp_ns as ts_ns,
  (timestamp '2020-01-01' + interval (i) minute)::timestamptz as ts_tz,
  ('00000000-0000-4000-8000-' || lpad(i::varchar, 12, '0'))::uuid as id128,
  case i % 3 when 0 then 'low' when 1 then 'mid' else 'high' end::enum('low', 'mid', 'high') as level,
  case when i % 5 = 0 then null else [i, i + 1] end as list,
  {'a': i, 'b': {'c': 'in ' || i}} as st, map([i % 3], ['v' || i]) as mp,
  null::integer as nothing
from (select unnest(range(0, 9000)) % 9000 as i)`;

/** Writes the KEKs' private keys for the KmsClient in Python, readable to their owner only. */
export function writeKeks(folder: Folder, keks: readonly TestKek[]): string {
  const pems = keks.map(({ publicKey, privateKey }) => [
    publicKey.kekId,
    privateKey.export({ format: "pem", type: "pkcs8" }),
  ]);
  return folder.write("keks.json", JSON.stringify(Object.fromEntries(pems)));
}

/** Resolves key metadata, single- or double-wrapped, with the private keys of `keks`. */
export function keysUnder(keks: readonly TestKek[]): KeyFor {
  return (keyMetadata) => {
    const material = parseKeyMaterial(keyMetadata ?? new Uint8Array(0));
    const kek = keks.find(({ publicKey }) => publicKey.kekId === material.masterKeyId);
    if (kek === undefined) return null;
    return material.doubleWrapping
      ? unwrapTableDek(material, () => unwrap(material.wrappedLocalKey, kek))
      : unwrap(material.wrappedDek, kek);
  };
}

function unwrap(text: string, kek: TestKek): Secret {
  const [version, wrapped = ""] = text.split(".");
  if (version !== kek.publicKey.kekVersion)
    throw new PpmlError("key.unwrap_failed", `expected another KEK version than ${version}`);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = { key: kek.privateKey, padding, oaepHash: "sha256" };
  return Secret.copy(privateDecrypt(key, Buffer.from(wrapped, "base64url")));
}
