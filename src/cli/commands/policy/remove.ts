import { referenceCommand } from "../../reference-command.ts";

/** `ppml policy remove FILE LABEL`: takes a reference set out. */
export const command = referenceCommand("remove");
