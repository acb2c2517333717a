// What a client is told when something fails: every fault has a status and an errcode of the specification.
//
// Only faults of ours become 500; what they say stays in the log.

import { MatrixError } from '../../client/errors.js';
import { FederationError } from '../../federation/errors.js';
import { StateroomError } from '../../lib/errors.js';

/** Faults of the engine that a handler let through, by what they mean to a client. */
const KNOWN: ReadonlyMap<string, readonly [status: number, errcode: string]> = new Map([
  ['ENGINE_FORBIDDEN', [403, 'M_FORBIDDEN']],
  ['READER_ROOM_UNKNOWN', [404, 'M_NOT_FOUND']],
  ['READER_EVENT_UNKNOWN', [404, 'M_NOT_FOUND']],
  ['READER_TARGET_INVALID', [400, 'M_INVALID_PARAM']],
  ['EVENT_NOT_CANONICAL', [400, 'M_BAD_JSON']],
  ['EVENT_BAD_JSON', [400, 'M_BAD_JSON']],
  ['EVENT_TOO_LARGE', [413, 'M_TOO_LARGE']],
  ['CORE_CLOSED', [503, 'M_UNKNOWN']],
  ['STORE_WRITE_FAILED', [503, 'M_UNKNOWN']],
  ['READER_BUSY', [503, 'M_UNKNOWN']],
  ['READER_CLOSED', [503, 'M_UNKNOWN']],
]);

/** Faults of the HTTP framework. */
const FRAMEWORK: ReadonlyMap<string, readonly [status: number, errcode: string, says: string]> = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', [413, 'M_TOO_LARGE', 'The body is too large.']],
  [
    'FST_ERR_CTP_INVALID_CONTENT_LENGTH',
    [400, 'M_NOT_JSON', 'The body is not as long as its Content-Length.'],
  ],
  ['FST_ERR_BAD_URL', [400, 'M_INVALID_PARAM', 'The path is not percent-encoded as UTF-8.']],
  ['FST_ERR_MAX_PARAM_LENGTH', [414, 'M_TOO_LARGE', 'A part of the path is too long.']],
]);

/** The refusal to send for whatever was thrown, and whether it is a fault of ours to be logged. */
export function refusalOf(thrown: unknown): { readonly refusal: MatrixError; readonly isOurs: boolean } {
  if (thrown instanceof MatrixError) {
    // One that says when to come back is meant so.
    const isMeant = thrown.body['retry_after_ms'] !== undefined;
    return { refusal: thrown, isOurs: thrown.status >= 500 && !isMeant };
  }
  if (thrown instanceof FederationError) {
    const { status, errcode, message, body } = thrown;
    return { refusal: new MatrixError(status, errcode, message, body), isOurs: status === 500 };
  }
  if (thrown instanceof StateroomError) {
    const known = KNOWN.get(thrown.code);
    if (known !== undefined)
      return { refusal: new MatrixError(...known, thrown.message), isOurs: known[0] >= 500 };
  }
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const framework = typeof code === 'string' ? FRAMEWORK.get(code) : undefined;
  if (framework !== undefined) return { refusal: new MatrixError(...framework), isOurs: false };
  if (code === 'ECONNRESET') {
    return { refusal: new MatrixError(400, 'M_NOT_JSON', 'The request ended early.'), isOurs: false };
  }
  return { refusal: new MatrixError(500, 'M_UNKNOWN', 'Something went wrong in this server.'), isOurs: true };
}

export function unrecognized(status: 404 | 405): MatrixError {
  const says = status === 404 ? 'There is no such endpoint.' : 'This endpoint has no such method.';
  return new MatrixError(status, 'M_UNRECOGNIZED', says);
}
