// A homeserver as `stateroom serve` runs it, in a process of its own that ends with its parent.

import { tidyHeap } from '../../src/cli/tidy-heap.js';
import { loadConfig } from '../../src/server/config/config.js';
import { openHomeserver } from '../../src/server/start.js';

const SYNC_TIMEOUT_MS_MAX = 600_000;

tidyHeap();

const config = loadConfig({
  flags: {
    data: process.argv[2],
    server_name: process.argv[3],
    'listen.port': 0,
    'rate_limits.enabled': false,
    'limits.connections': 20_000,
    'sync.timeout_ms_max': SYNC_TIMEOUT_MS_MAX,
    'log.level': 'warn',
    durability: 'sync',
  },
});
const server = await openHomeserver(config);
process.send?.(server.address);
process.once('disconnect', () => {
  server.close().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
});
