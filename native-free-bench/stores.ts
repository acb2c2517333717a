// Where benchmarks keep what they write: in memory, or in new temporary folders that are removed again.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Store } from '../src/store/store.js';
import type { OpenStore } from './rooms.js';

export type StoreKind = 'memory' | 'classic-level';

/** A new folder, and its removal. */
export async function temporaryFolder(): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), 'stateroom-bench-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Opens a new store of a kind. */
export function storeOpener(kind: StoreKind): OpenStore {
  if (kind === 'memory') {
    return async () => {
      const store = await Store.open({ kind: 'memory' });
      return { store, close: () => store.close() };
    };
  }
  return async () => {
    const { path, remove } = await temporaryFolder();
    const store = await Store.open({ kind: 'folder', path, create: true }, { durability: 'os' });
    return {
      store,
      async close() {
        await store.close();
        await remove();
      },
    };
  };
}
