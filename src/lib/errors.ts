// The one registry of error codes.
//
// Every fault that stateroom reports is a StateroomError: one class per cause, a stable `code`
// that programs may match on, a message that says what to do, and the ids involved as `fields`.
// Each folder defines its own causes in its `errors.ts` with `defineError`; a code is defined once.

/** Ids and places that an error names: event id, room id, file, line, record number. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Base of all faults of stateroom. `code` is stable across releases; `message` is for people. */
export class StateroomError extends Error {
  /** Stable code, in capitals: `STORE_LOCKED`, `EVENT_TOO_LARGE`. */
  readonly code: string;
  /** What the error is about: ids, files, lines. */
  readonly fields: ErrorFields;

  constructor(code: string, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StateroomError';
    this.code = code;
    this.fields = fields;
  }

  /** A plain value for `--json` output and for crossing threads, where classes are lost. */
  toJSON(): { code: string; message: string; fields: ErrorFields } {
    return { code: this.code, message: this.message, fields: this.fields };
  }
}

/** An error class of one cause. */
export interface ErrorClass {
  new (message: string, fields?: ErrorFields, cause?: unknown): StateroomError;
  readonly code: string;
}

const registry = new Map<string, string>();

/**
 * Defines the error class of one cause and enters its code in the registry.
 *
 * @param code stable, unique, `FOLDER_CAUSE` in capitals
 * @param doc one sentence for the reference: when it happens and what to do
 * @throws Error when the code is taken (a bug, found at start)
 */
export function defineError(code: string, doc: string): ErrorClass {
  if (registry.has(code)) throw new Error(`error code ${code} is defined twice`);
  registry.set(code, doc);
  return class extends StateroomError {
    static readonly code = code;
    constructor(message: string, fields?: ErrorFields, cause?: unknown) {
      super(code, message, fields, cause);
    }
  };
}

/** All codes with their one-sentence documentation, sorted by code. */
export function errorCodes(): ReadonlyArray<readonly [code: string, doc: string]> {
  return [...registry].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A broken invariant is a bug in stateroom, not a fault of its input. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${claim}`);
}

/** Whatever was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
