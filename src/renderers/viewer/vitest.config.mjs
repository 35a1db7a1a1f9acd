import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // Two cores: more processes only get in each other's way.
    maxWorkers: 2,
  },
});
