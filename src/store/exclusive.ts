// Maintenance that changes what is stored already runs one at a time: a collection must not bring back a
// record that a purge took away meanwhile. Work in slices, in the background, gives way to all others.

import { StoreBusyError } from './errors.js';
import type { Store } from './store.js';

const busy = new WeakSet<Store>();
const slices = new WeakMap<Store, Promise<unknown>>();

/** Runs maintenance alone. @throws STORE_BUSY while other maintenance of this store runs */
export async function exclusively<Result>(store: Store, work: () => Promise<Result>): Promise<Result> {
  if (busy.has(store)) {
    throw new StoreBusyError('a collection, purge or rebuild of this store is under way', {
      path: store.path,
    });
  }
  busy.add(store);
  try {
    await slices.get(store)?.catch(() => undefined);
    return await work();
  } finally {
    busy.delete(store);
  }
}

/** Runs a slice of background work; undefined, and nothing is done, while other maintenance of the store runs. */
export async function inSlice<Result>(
  store: Store,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  if (busy.has(store) || slices.has(store)) return undefined;
  const slice = work();
  slices.set(store, slice);
  try {
    return await slice;
  } finally {
    slices.delete(store);
  }
}
