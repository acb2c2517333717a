import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Store } from '../../src/store/store.js';
import { storeSuite } from './suite.js';

storeSuite('memory-level', async () => {
  const store = await Store.open({ kind: 'memory' });
  return { store, discard: () => store.close() };
});

storeSuite('classic-level', async () => {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-store-'));
  const store = await Store.open({ kind: 'folder', path, create: true });
  return {
    store,
    discard: async () => {
      await store.close();
      await rm(path, { recursive: true });
    },
  };
});
