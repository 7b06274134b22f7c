// Tests run against the built program; the global set-up compiles it when its sources changed.
import { defineConfig } from 'vitest/config';

// Those that take minutes are in a folder of their own, for `npm run test:slow`.
const SLOW = 'test/slow/**';
const isSlow = process.env.RES_SLOW === '1';

export default defineConfig({
  test: {
    include: [isSlow ? `${SLOW}/*.test.ts` : 'test/**/*.test.ts'],
    exclude: isSlow ? [] : [SLOW],
    globalSetup: ['test/rig/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
