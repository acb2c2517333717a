// Faults of the store: opening it, reading it, writing it.

import { defineError } from '../lib/errors.js';

export const StoreLockedError = defineError(
  'STORE_LOCKED',
  'Another process holds the data folder. Stop it, or talk to it, or use another folder.',
);
export const StoreSchemaError = defineError(
  'STORE_SCHEMA_UNKNOWN',
  'The data folder was written by another version of stateroom with a schema this one does not know.',
);
export const StoreForeignError = defineError(
  'STORE_NOT_OURS',
  'The folder holds a LevelDB database that stateroom did not make.',
);
export const StoreWorkUnfinishedError = defineError(
  'STORE_WORK_UNFINISHED',
  'A rebuild or a purge of this store was interrupted. Run it again; `fields.work` says which it was.',
);
export const StoreBusyError = defineError(
  'STORE_BUSY',
  'Another garbage collection, purge or rebuild of this store is under way. Wait for it.',
);
export const StoreRoomUnknownError = defineError('STORE_ROOM_UNKNOWN', 'No room of that id is stored.');
export const StoreMissingError = defineError(
  'STORE_MISSING',
  'There is no stateroom store in the folder, and the command does not make one.',
);
export const StoreOpenError = defineError(
  'STORE_OPEN_FAILED',
  'The data folder cannot be opened: permissions, a full disk, or damaged files. The cause says which.',
);
export const StoreWriteError = defineError(
  'STORE_WRITE_FAILED',
  'A commit group could not be written: a full disk, most often. Nothing of it was acknowledged.',
);
export const StoreCorruptError = defineError(
  'STORE_CORRUPT',
  'A stored row cannot be read. `stateroom fsck` names what is wrong; `stateroom rebuild` makes indexes anew.',
);
