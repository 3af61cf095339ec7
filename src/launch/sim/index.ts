export { bootSimulatedTee, type TeeExit } from "./boot.ts";
export { type MeasuredImage, measureImage } from "./image.ts";
export { buildSnapshot, type Snapshot } from "./snapshot.ts";
