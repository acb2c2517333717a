// Opening the database: classic-level on a folder, or memory-level for tests and the native-free benchmark.
//
// The folder is resolved to its real absolute path once, because LevelDB's lock table is keyed by the
// string. Threads of one process share one database (`multithreading`): the first to open must be the last
// to close. Keys and values are byte strings throughout.

import { mkdir, readdir, realpath } from 'node:fs/promises';
import type { AbstractLevel } from 'abstract-level';
import { StateroomError } from '../lib/errors.js';
import { StoreForeignError, StoreLockedError, StoreMissingError, StoreOpenError } from './errors.js';

export type Database = AbstractLevel<Buffer | Uint8Array | string, Buffer, Buffer>;

/** Where the store lives. */
export type Location =
  | { readonly kind: 'memory' }
  /** A database that is open already: one that another process holds, read from afar. */
  | { readonly kind: 'opened'; readonly database: Database; readonly path: string }
  | {
      readonly kind: 'folder';
      readonly path: string;
      /** Make the folder when it is not there; otherwise that is an error. */
      readonly create: boolean;
      /** Bytes of LevelDB's block cache; only the first opener in a process decides. */
      readonly cacheBytes?: number;
    };

/** An open database and where it lies. */
export interface OpenDatabase {
  readonly database: Database;
  /** Real absolute path, or undefined in memory. */
  readonly path: string | undefined;
  /** Brings what is in the log into tables: whoever opens the database next need not read it again. */
  readonly settle?: () => Promise<void>;
}

/** Before all keys: a range that holds nothing. */
const NO_KEY = Buffer.alloc(1);

const WRITE_BUFFER_BYTES = 8 * 1024 * 1024;
const CACHE_BYTES = 8 * 1024 * 1024;

/**
 * Opens the database.
 * @throws StoreLockedError when another process holds it, StoreMissingError when it is not there and must
 *   not be made, StoreForeignError when the folder is not a LevelDB's, StoreOpenError for the rest
 */
export async function openDatabase(location: Location): Promise<OpenDatabase> {
  if (location.kind === 'opened') return location;
  if (location.kind === 'memory') {
    const { MemoryLevel } = await import('memory-level');
    const database = new MemoryLevel<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' });
    await database.open();
    return { database, path: undefined };
  }
  const path = await folder(location.path, location.create);
  const { ClassicLevel } = await import('classic-level');
  const database = new ClassicLevel<Buffer, Buffer>(path, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  try {
    await database.open({
      multithreading: true,
      createIfMissing: location.create,
      writeBufferSize: WRITE_BUFFER_BYTES,
      cacheSize: location.cacheBytes ?? CACHE_BYTES,
    });
  } catch (error) {
    throw openFault(error, path);
  }
  // Compacting a range, LevelDB brings first what was written last into a table.
  return { database, path, settle: () => database.compactRange(NO_KEY, NO_KEY) };
}

/** The folder's real path; made first where that is allowed. */
async function folder(path: string, create: boolean): Promise<string> {
  try {
    if (create) await mkdir(path, { recursive: true });
    const real = await realpath(path);
    const names = await readdir(real);
    if (!names.includes('CURRENT')) {
      if (!create) throw new StoreMissingError(`there is no stateroom store in ${real}`, { path: real });
      if (names.length > 0) {
        throw new StoreForeignError(`${real} holds other files; choose an empty or a new folder`, {
          path: real,
        });
      }
    }
    return real;
  } catch (error) {
    if (error instanceof StateroomError) throw error;
    if (isErrno(error) && error.code === 'ENOENT') {
      throw new StoreMissingError(`there is no folder ${path}`, { path }, error);
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new StoreOpenError(`cannot use the folder ${path}: ${why}`, { path }, error);
  }
}

function openFault(error: unknown, path: string): StateroomError {
  const cause = error instanceof Error && isErrno(error.cause) ? error.cause : undefined;
  if (cause?.code === 'LEVEL_LOCKED') {
    return new StoreLockedError(
      `another process holds ${path}; stop it or use another folder`,
      { path },
      error,
    );
  }
  const why = cause?.message ?? (error instanceof Error ? error.message : String(error));
  return new StoreOpenError(`cannot open the store in ${path}: ${why}`, { path }, error);
}

function isErrno(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
