"""The facts that the engine and the simulator share: one data file, no behaviour."""
