/**
 * Stands in every name of the simulation's certificates. Here, and not beside the simulation's code,
 * so that production can refuse it without reaching that code.
 */
export const SIMULATION_MARK = "PPML SIMULATION - NOT HARDWARE";
