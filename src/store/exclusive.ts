// Maintenance that changes what is stored already runs one at a time: a collection must not bring back a
// record that a purge took away meanwhile.

import { StoreBusyError } from './errors.js';
import type { Store } from './store.js';

const busy = new WeakSet<Store>();

/** Runs maintenance alone. @throws STORE_BUSY while other maintenance of this store runs */
export async function exclusively<Result>(store: Store, work: () => Promise<Result>): Promise<Result> {
  if (busy.has(store)) {
    throw new StoreBusyError('a collection, purge or rebuild of this store is under way', {
      path: store.path,
    });
  }
  busy.add(store);
  try {
    return await work();
  } finally {
    busy.delete(store);
  }
}
