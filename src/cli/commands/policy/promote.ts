import { referenceCommand } from "../../reference-command.ts";

/** `ppml policy promote FILE LABEL`: accepts a staged reference set from the next apply on. */
export const command = referenceCommand("promote");
