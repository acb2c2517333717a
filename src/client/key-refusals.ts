// What the accounts refuse of keys, in the words of the client API.

import {
  BackupNotCurrentError,
  BackupUnknownError,
  KeyIdInUseError,
  KeySignatureInvalidError,
  KeysInvalidError,
  KeysTooLargeError,
  KeyUnknownError,
  MasterKeyMissingError,
  OneTimeKeyDiffersError,
} from '../account/errors.js';
import { StateroomError } from '../lib/errors.js';
import { MatrixError } from './errors.js';

const REFUSALS: ReadonlyMap<string, readonly [status: number, errcode: string]> = new Map([
  [KeysInvalidError.code, [400, 'M_INVALID_PARAM']],
  [KeySignatureInvalidError.code, [400, 'M_INVALID_SIGNATURE']],
  [KeyUnknownError.code, [404, 'M_NOT_FOUND']],
  [KeyIdInUseError.code, [403, 'M_FORBIDDEN']],
  [MasterKeyMissingError.code, [400, 'M_MISSING_PARAM']],
  // The specification has no code for this one; clients know what Synapse says.
  [OneTimeKeyDiffersError.code, [400, 'M_UNKNOWN']],
  [KeysTooLargeError.code, [413, 'M_TOO_LARGE']],
  [BackupUnknownError.code, [404, 'M_NOT_FOUND']],
  [BackupNotCurrentError.code, [403, 'M_WRONG_ROOM_KEYS_VERSION']],
]);

/** What was thrown, as it is told to a client; anything else as it is. */
export function keyRefusal(error: unknown): unknown {
  const refusal = error instanceof StateroomError ? REFUSALS.get(error.code) : undefined;
  if (!(error instanceof StateroomError) || refusal === undefined) return error;
  const [status, errcode] = refusal;
  const version = error.fields.current_version;
  const body = version === undefined ? {} : { current_version: version };
  return new MatrixError(status, errcode, sentence(error.message), body);
}

/** Does what is asked of the keys. @throws MatrixError for what the accounts refuse */
export async function refusing<Result>(run: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw keyRefusal(error);
  }
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
