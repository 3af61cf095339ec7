import { fromUtf8 } from "../../base/bytes.ts";
import { PpmlError } from "../../base/error.ts";
import { LIMITS } from "./limits.ts";
import {
  binaryField,
  intField,
  structField,
  structOf,
  type ThriftField,
  type ThriftStruct,
} from "./thrift.ts";

const PHYSICAL_TYPES = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
] as const;

/** How a leaf's values are stored. @see parquet.thrift, enum Type */
export type PhysicalType = (typeof PHYSICAL_TYPES)[number];

// parquet.thrift: union LogicalType by field id, enum ConvertedType by value.
const LOGICAL_TYPES: Readonly<Record<number, string>> = {
  1: "STRING",
  2: "MAP",
  3: "LIST",
  4: "ENUM",
  5: "DECIMAL",
  6: "DATE",
  7: "TIME",
  8: "TIMESTAMP",
  10: "INTEGER",
  11: "UNKNOWN",
  12: "JSON",
  13: "BSON",
  14: "UUID",
  15: "FLOAT16",
  16: "VARIANT",
  17: "GEOMETRY",
  18: "GEOGRAPHY",
};
const CONVERTED_TYPES =
  "STRING MAP MAP LIST ENUM DECIMAL DATE TIME TIME TIMESTAMP TIMESTAMP INTEGER INTEGER INTEGER INTEGER INTEGER INTEGER INTEGER INTEGER JSON BSON INTERVAL".split(
    " ",
  );

// parquet.thrift: union TimeUnit by field id, enum ConvertedType by value.
const TIME_UNITS: Readonly<Record<number, TimeUnit>> = {
  1: "milliseconds",
  2: "microseconds",
  3: "nanoseconds",
};
const CONVERTED_TIME_UNITS: Readonly<Record<number, TimeUnit>> = {
  9: "milliseconds",
  10: "microseconds",
};

/** One node of a table's schema; a leaf has a column of its own. */
export type SchemaNode = {
  readonly name: string;
  /** Names from the top level down to this node; empty for the root. */
  readonly path: readonly string[];
  readonly repetition: "required" | "optional" | "repeated";
  readonly physicalType: PhysicalType | null;
  /** The standard's name of its meaning, such as STRING or DECIMAL; null where none is given. */
  readonly logicalType: string | null;
  readonly children: readonly SchemaNode[];
  /** Leaves below this node (itself, for a leaf) are those of index `[firstLeaf, endLeaf)`. */
  readonly firstLeaf: number;
  readonly endLeaf: number;
};

/** A leaf of the schema: one column of each row group. */
export type SchemaLeaf = {
  readonly index: number;
  readonly path: readonly string[];
  /** The path joined by dots, as engines name nested columns. */
  readonly dotted: string;
  readonly physicalType: PhysicalType;
  /** The number that stands for the physical type in the file. */
  readonly physicalTypeNumber: number;
  readonly logicalType: string | null;
  /** The SchemaElement as it stands: equal bytes are equal columns. */
  readonly raw: ThriftField;
};

/** What a stored timestamp counts, as a fraction of a second. */
export type TimeUnit = "milliseconds" | "microseconds" | "nanoseconds";

/** A table's schema as a tree and as its leaves in file order. */
export type Schema = { readonly root: SchemaNode; readonly leaves: readonly SchemaLeaf[] };

/** The unit of a TIMESTAMP column; null for others. @throws format.invalid */
export function timeUnitOf({ logicalType, raw }: SchemaLeaf): TimeUnit | null {
  if (logicalType !== "TIMESTAMP") return null;
  const element = structOf(raw);
  const timestamp = structField(structField(element, 10) ?? new Map(), 8);
  const [unit] = structField(timestamp ?? new Map(), 2)?.keys() ?? [];
  if (unit !== undefined) return TIME_UNITS[unit] ?? null;
  return CONVERTED_TIME_UNITS[intField(element, 6) ?? -1] ?? null;
}

type Walk = {
  readonly items: readonly ThriftField[];
  readonly leaves: SchemaLeaf[];
  next: number;
  pathChars: number;
};

/**
 * Builds the tree from the flattened list of FileMetaData.schema.
 * @throws format.invalid, format.too_large
 */
export function parseSchema(items: readonly ThriftField[]): Schema {
  const walk: Walk = { items, leaves: [], next: 0, pathChars: 0 };
  const root = parseNode(walk, null);
  if (walk.next !== items.length) throw invalid("elements follow its last node");
  if (root.physicalType !== null) throw invalid("its root is a leaf");
  return { root, leaves: walk.leaves };
}

function parseNode(walk: Walk, parent: readonly string[] | null): SchemaNode {
  const item = walk.items[walk.next];
  if (item === undefined) throw invalid("it ends before its last node");
  walk.next += 1;
  const element = structOf(item);
  const name = nameOf(element);
  const path = parent === null ? [] : [...parent, name];
  if (path.length > LIMITS.schemaDepth)
    throw new PpmlError(
      "format.too_large",
      `the schema is over ${LIMITS.schemaDepth} levels deep: flatten it`,
    );
  const logicalType = logicalTypeOf(element);
  const repetition = repetitionOf(element);
  const count = intField(element, 5) ?? 0;
  const firstLeaf = walk.leaves.length;
  // A root without columns is a group; any other node without children is a leaf.
  if (parent !== null && count === 0) {
    const physicalType = addLeaf(walk, { raw: item, element, path, logicalType });
    const only = { children: [], firstLeaf, endLeaf: firstLeaf + 1 };
    return { name, path, repetition, physicalType, logicalType, ...only };
  }
  if (count < 0 || count > walk.items.length - walk.next)
    throw invalid(`a node says that it has ${count} children`);
  const children: SchemaNode[] = [];
  for (let index = 0; index < count; index += 1) children.push(parseNode(walk, path));
  const below = { children, firstLeaf, endLeaf: walk.leaves.length };
  return { name, path, repetition, physicalType: null, logicalType, ...below };
}

function addLeaf(
  walk: Walk,
  leaf: Pick<SchemaLeaf, "raw" | "path" | "logicalType"> & { readonly element: ThriftStruct },
): PhysicalType {
  const physicalTypeNumber = intField(leaf.element, 1);
  const physicalType = PHYSICAL_TYPES[physicalTypeNumber ?? -1];
  if (physicalTypeNumber === null || physicalType === undefined)
    throw invalid(`a leaf has no known physical type`);
  const dotted = leaf.path.join(".");
  walk.pathChars += dotted.length;
  if (walk.pathChars > LIMITS.schemaPathChars || walk.leaves.length >= LIMITS.ordinals)
    throw new PpmlError("format.too_large", "the schema has too many or too long column paths");
  const { path, logicalType, raw } = leaf;
  const index = walk.leaves.length;
  walk.leaves.push({ index, path, dotted, physicalType, physicalTypeNumber, logicalType, raw });
  return physicalType;
}

function nameOf(element: ThriftStruct): string {
  const name = binaryField(element, 4);
  if (name === null) throw invalid("an element has no name");
  try {
    return fromUtf8(name);
  } catch (cause) {
    throw new PpmlError("format.invalid", "a column's name is not UTF-8", { cause });
  }
}

function repetitionOf(element: ThriftStruct): "required" | "optional" | "repeated" {
  const value = intField(element, 3) ?? 0;
  if (value === 0) return "required";
  if (value === 1) return "optional";
  if (value === 2) return "repeated";
  throw invalid(`an element's repetition is ${value}`);
}

function logicalTypeOf(element: ThriftStruct): string | null {
  const [id] = structField(element, 10)?.keys() ?? [];
  const named = id === undefined ? undefined : LOGICAL_TYPES[id];
  return named ?? CONVERTED_TYPES[intField(element, 6) ?? -1] ?? null;
}

function invalid(what: string): PpmlError {
  return new PpmlError("format.invalid", `the Parquet schema is not valid: ${what}`);
}
